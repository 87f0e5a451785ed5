"""What the rooms with a store share."""

from store_fixtures import make_corpus, mlflow_server  # noqa: F401
