"""Files in memory, as libsndfile reads them."""

import io
import os


class Bytes(io.BytesIO):
    """Bytes in which whoever seeks a place before the beginning stays where he is.

    libsndfile does in some damaged files; an exception within its callback would be printed.
    """

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place, if it is one."""
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


def in_memory(data: bytes) -> int | Bytes:
    """The descriptor of a file that is on no disk, which libsndfile closes, or where none can be
    had (but by Linux none), the bytes.
    """
    try:
        descriptor = os.memfd_create("recording")
    except (AttributeError, OSError):
        return Bytes(data)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
    except OSError:  # no memory, or a limit on the size of files
        os.close(descriptor)
        return Bytes(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
