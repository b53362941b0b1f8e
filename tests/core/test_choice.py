"""Which core is made, by the setting and by HPE_COMPILED."""

import pytest

from hpe.core import missing_core, new_core
from hpe.core.contract import Limits
from hpe.errors import ConfigError

BUILT = not missing_core()


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch):
    monkeypatch.delenv("HPE_COMPILED", raising=False)


def test_auto_takes_the_compiled_core_where_it_is_built():
    assert new_core().name == ("compiled" if BUILT else "python")


@pytest.mark.parametrize("value", [None, "0", "1"])
def test_the_reference_core_is_always_there(monkeypatch, value):
    if value is not None:
        monkeypatch.setenv("HPE_COMPILED", value)
    assert new_core(choice="python").name == "python"


def test_the_plain_form_is_the_reference_core(monkeypatch):
    monkeypatch.setenv("HPE_COMPILED", "0")
    assert new_core().name == "python"
    assert missing_core() == "the environment has HPE_COMPILED=0"
    with pytest.raises(ConfigError) as caught:
        new_core(choice="compiled")
    expected = "core: found 'compiled'; allowed: auto, python (the environment has HPE_COMPILED=0)"
    assert str(caught.value) == expected


@pytest.mark.parametrize("choice", ["auto", "compiled"])
def test_a_core_that_is_not_built_is_asked_for_in_vain(monkeypatch, choice):
    monkeypatch.setattr("hpe.extensions.find_spec", lambda name: None)
    monkeypatch.setenv("HPE_COMPILED", "1")
    with pytest.raises(ConfigError, match=r"install a C compiler .* then run: HPE_COMPILED=1 "):
        new_core(choice=choice)
    assert "is not built; install a C compiler" in missing_core()


def test_an_invalid_variable_is_an_error_of_the_configuration(monkeypatch):
    monkeypatch.setenv("HPE_COMPILED", "maybe")
    for ask in (new_core, missing_core):
        with pytest.raises(ConfigError, match="HPE_COMPILED: 'maybe' is not 0 or 1"):
            ask()


def test_a_word_that_is_no_core_is_an_error_of_the_configuration():
    with pytest.raises(ConfigError, match="core: found 'fast'; allowed: auto, python, compiled"):
        new_core(choice="fast")


def test_a_core_gets_its_limits(new_core):
    limits = Limits(fills=7)
    assert new_core(limits).limits == limits
