"""Where studies are kept, and the locks that workers on one storage hold against each other."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy
from filelock import FileLock, Timeout
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, OperationalError, SQLAlchemyError

from genre_mlflow.errors import StudyError
from genre_mlflow.files.home import home

FILE = "search.db"  # in `home`
BEATS_PER_GRACE = 6  # signs of life within the grace period
SQLITE_WAIT_S = 60  # for another process's transaction
CONNECT_S = 10
SERVERS = ("postgresql", "mysql", "mariadb")
MAX_RETRIES = 3  # of a trial whose worker died

LOCKS = sqlalchemy.Table(
    "genre_mlflow_locks",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("name", sqlalchemy.String(255), primary_key=True),
)


class Storage:
    """A database of studies: SQLite on one machine, PostgreSQL or MySQL for many.

    `grace_s`: seconds without a sign of life after which a trial counts as dead; `on_dead` is
    then called with the study and the trial. Raises `StudyError` for what cannot be opened.
    """

    def __init__(self, address: str, grace_s: int) -> None:
        self.url = parse_address(address)
        # Without the query, where some drivers take a password, too.
        self.name = self.url.set(query={}).render_as_string(hide_password=True)
        self.file = sqlite_file(self.url)
        self.grace_s = grace_s
        self.beat_s = max(1, grace_s // BEATS_PER_GRACE)
        arguments = {"timeout": SQLITE_WAIT_S} if self.file else connect_arguments(self.url)
        pool = {} if self.file else {"pool_pre_ping": True}
        try:
            self.engine = sqlalchemy.create_engine(self.url, connect_args=arguments, **pool)
            with self.setting_up(), quiet():
                self.check_tables()
                self.optuna = RDBStorage(
                    self.url.render_as_string(hide_password=False),
                    engine_kwargs={"connect_args": arguments, **pool},
                    heartbeat_interval=self.beat_s,
                    grace_period=grace_s,
                    heartbeat_stale_trial_callback=retry,
                )
        except (SQLAlchemyError, StorageInternalError, ImportError, RuntimeError) as error:
            reason = " ".join(str(error.__cause__ or error).split("\n")[0].split())
            raise StudyError(f"the storage {self.name} cannot be opened: {reason}") from error

    def check_tables(self) -> None:
        """Leave alone a database whose tables are versioned by another program, as MLflow's are."""
        tables = set(sqlalchemy.inspect(self.engine).get_table_names())
        if "alembic_version" in tables and "studies" not in tables:
            raise StudyError(
                f"the storage {self.name} is the database of another program, such as MLflow; "
                "studies need one of their own"
            )

    def close(self) -> None:
        """Close the connections that are kept for the next use."""
        self.engine.dispose()
        self.optuna.engine.dispose()

    @contextmanager
    def setting_up(self) -> Iterator[None]:
        """One process at a time makes the tables of a fresh database."""
        if self.file:
            with FileLock(self.lock_file("setup")):
                yield
            return
        for attempt in range(2):  # where two processes made the table at once, one of them fails
            try:
                LOCKS.create(self.engine, checkfirst=True)
                break
            except SQLAlchemyError:
                if attempt or not sqlalchemy.inspect(self.engine).has_table(LOCKS.name):
                    raise
        with self.lock("setup"):
            yield

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a lock that all processes on this storage share; a dead one lets go.

        On SQLite it is a file beside the database, elsewhere a locked row of a table of ours.
        """
        if self.file:
            with FileLock(self.lock_file(name)):
                yield
            return
        with self.row_lock(name):
            yield

    @contextmanager
    def lock_if_free(self, name: str) -> Iterator[bool]:
        """Hold the lock while the block runs, or tell the block with False that others do."""
        if self.file:
            lock = FileLock(self.lock_file(name))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                yield False
                return
            try:
                yield True
            finally:
                lock.release()
            return
        held = False
        try:
            with self.row_lock(name, wait=False):
                held = True
                yield True
        except OperationalError:  # PostgreSQL and MySQL alike: the row is locked
            if held:
                raise
            yield False

    @contextmanager
    def row_lock(self, name: str, *, wait: bool = True) -> Iterator[None]:
        """Lock the row of this name, made now if it is missing, until the block ends."""
        try:
            with self.engine.begin() as connection:
                if not connection.execute(row(name)).first():
                    connection.execute(LOCKS.insert().values(name=name))
        except IntegrityError:
            pass  # another process was first
        with self.engine.connect() as connection:
            connection.execute(row(name).with_for_update(nowait=not wait))
            yield

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Say in one line that the database was lost. Raises `StudyError`."""
        try:
            yield
        except (SQLAlchemyError, StorageInternalError) as error:
            reason = " ".join(str(error.__cause__ or error).split("\n")[0].split())
            raise StudyError(
                f"the storage {self.name} does not answer any more ({reason}); the same command "
                "goes on where this one was"
            ) from error

    def lock_file(self, name: str) -> Path:
        """Lock file beside a SQLite database."""
        assert self.file
        return self.file.with_name(f"{self.file.name}.{name}.lock")

    @contextmanager
    def alive(self, trial_id: int) -> Iterator[None]:
        """Give signs of life for a trial while the block runs."""
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(self.beat_s):
                try:
                    self.optuna.record_heartbeat(trial_id)
                except (SQLAlchemyError, StorageInternalError):
                    continue  # the database may be back at the next beat

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def default_address() -> str:
    """A SQLite file among the project's derived files, but not deleted with them."""
    home().mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{home() / FILE}"


def parse_address(address: str) -> URL:
    """An address as SQLAlchemy has them. Raises `StudyError`."""
    if address.startswith("postgres:"):
        raise StudyError(
            f"--storage is {hidden(address)!r}; SQLAlchemy calls it postgresql://, not postgres://"
        )
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:  # a port that is no number is a ValueError
        raise StudyError(
            f"--storage is {hidden(address)!r}; allowed are addresses such as "
            "sqlite:///search.db and postgresql://user@host/database"
        ) from error
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise StudyError(f"--storage is {address!r}; a study in memory is lost: name a file")
        file = Path(url.database).absolute()
        if not file.parent.is_dir():
            raise StudyError(f"--storage is {address!r}, but {file.parent} is no folder")
        return url.set(database=str(file))
    return url


def hidden(address: str) -> str:
    """An address that cannot be parsed, without what may be a password."""
    _, at, tail = address.rpartition("@")
    return f"...@{tail}" if at else address


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite database, None for a server."""
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def connect_arguments(url: URL) -> dict[str, int]:
    """A server that is not there should say so soon; drivers differ in the word for it."""
    return {"connect_timeout": CONNECT_S} if url.get_backend_name() in SERVERS else {}


def row(name: str) -> sqlalchemy.Select[tuple[str]]:
    """The row of a lock."""
    return sqlalchemy.select(LOCKS.c.name).where(LOCKS.c.name == name)


def retry(study: Study, trial: FrozenTrial, limit: int | None = MAX_RETRIES) -> None:
    """Queue a trial that was cut off once more, with its setting and what it has reported."""
    with quiet():
        again = RetryHeartbeatStaleTrialCallback(limit, inherit_intermediate_values=True)
    again(study, trial)


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out Optuna's notes that heartbeats and their callbacks are experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", "Heartbeat of storage is supposed to be used with")
        yield
