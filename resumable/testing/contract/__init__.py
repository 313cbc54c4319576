"""What every store must do, as a class of tests to inherit from; needs pytest."""

import pytest

pytest.register_assert_rewrite(
    f"{__name__}.base",
    *(
        f"{__name__}.{room}"
        for room in (
            "births",
            "bytes",
            "numbers",
            "ends",
            "deposits",
            "joins",
            "objects",
            "races",
            "small",
        )
    ),
)

from resumable.testing.contract.births import BirthContract  # noqa: E402
from resumable.testing.contract.bytes import ByteContract  # noqa: E402
from resumable.testing.contract.deposits import DepositContract  # noqa: E402
from resumable.testing.contract.ends import EndContract  # noqa: E402
from resumable.testing.contract.joins import JoinContract  # noqa: E402
from resumable.testing.contract.numbers import NumberContract  # noqa: E402
from resumable.testing.contract.objects import ObjectContract  # noqa: E402
from resumable.testing.contract.races import RaceContract  # noqa: E402
from resumable.testing.contract.small import SmallFileContract  # noqa: E402


class StoreContract(
    BirthContract,
    ByteContract,
    NumberContract,
    EndContract,
    DepositContract,
    JoinContract,
    ObjectContract,
    RaceContract,
    SmallFileContract,
):
    """Inherit from it and supply the fixture `make_store`: a store on the same storage, anew.

    Each call stands for another process. What it returns must be picklable for the tests that use
    real processes; they are skipped where it is not.
    """


__all__ = ["StoreContract"]
