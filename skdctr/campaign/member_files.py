"""The files of an ensemble's members: their names, what is intact, and when they are unpickled."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import joblib

from skdctr._utils.atomic import refuse_link, replacing
from skdctr._utils.warn import warn_user

__all__ = [
    "intact_members",
    "keep_member",
    "member_file",
    "pack_member",
    "refuse_pickles",
    "unpack_members",
]

Record = Mapping[str, Any]


def member_file(member: int) -> str:
    """Name the file of a member, which lies in the directory of the campaign."""
    return f"member-{member:04d}.pickle"


def pack_member(member: int, trained: Any) -> tuple[dict[str, Any], bytes]:
    """Return what the manifest says of the file of a member, and the content of the file."""
    # Classes are pickled by value, so that another script can read what the user's script defines.
    content = pickle.dumps(joblib.wrap_non_picklable_objects(trained, keep_wrapper=False))
    return {"file": member_file(member), "sha256": _sha256(content)}, content


def keep_member(directory: Path, record: Record, content: bytes) -> None:
    """Write the file of a member, whole or not at all."""
    with replacing(directory / member_file(record["member"])) as draft:
        draft.write_bytes(content)


def intact_members(directory: Path, rows: Mapping[int, Record], n: int) -> list[int]:
    """List the first n members that have their file, and warn of those that once had one.

    Raises
    ------
    ValueError
        If the manifest names a file other than the member's own.
    OSError
        If the file of a member is a link.

    Warns
    -----
    UserWarning
        If a file is missing or damaged.
    """
    intact = []
    for k, row in rows.items():
        name = row.get("file")
        if name != member_file(k):
            raise ValueError(
                f"The manifest in {directory} names the file {name!r} for member {k}, where "
                f"fit_ensemble writes {member_file(k)!r} and nothing else. It may have been made "
                "to run a file from elsewhere: do not go on with this directory."
            )
    for k in sorted(k for k in rows if k < n):
        file = directory / member_file(k)
        refuse_link(file)
        if file.exists() and _sha256(file.read_bytes()) == rows[k]["sha256"]:
            intact.append(k)
        else:
            warn_user(f"{file} is missing or damaged: member {k} is trained again.", UserWarning)
    return intact


def refuse_pickles(directory: Path, members: Collection[int], allow_pickle: bool) -> None:
    """Raise if members would have to be unpickled without the user's consent.

    Raises
    ------
    ValueError
        If there are members and `allow_pickle` is false.
    """
    if members and not allow_pickle:
        raise ValueError(
            f"{directory} has {len(members)} members of an earlier call, as pickles, and a pickle "
            "can run anything when it is read. If you or somebody whom you trust made all of "
            "them, pass allow_pickle=True to go on; otherwise choose another path."
        )


def unpack_members(directory: Path, rows: Collection[Record]) -> list[Any]:
    """Unpickle members whose files are those of the records.

    Raises
    ------
    RuntimeError
        If a file has changed since its checksum was taken.
    """
    members = []
    for row in rows:
        content = (directory / member_file(row["member"])).read_bytes()
        if _sha256(content) != row["sha256"]:
            raise RuntimeError(
                f"{directory / member_file(row['member'])} was changed during the call: call again."
            )
        members.append(pickle.loads(content))
    return members


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
