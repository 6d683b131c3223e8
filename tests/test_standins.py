"""The stand-in for gradio has no parameter that gradio has not."""

import importlib.util
import inspect
from pathlib import Path

import pytest

STANDIN = Path(__file__).with_name("standins") / "gradio.py"

RENAMED_IN_GRADIO_6 = {"Dataframe": {"height"}, "Blocks": {"theme", "css"}}


def standin():
    spec = importlib.util.spec_from_file_location("standin_of_gradio", STANDIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PARAMETERS = standin().PARAMETERS


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_is_gradios(name):
    gradio = pytest.importorskip("gradio", reason="gradio is not installed")
    classes = getattr(gradio, name).__mro__  # gradio 3's layouts hand what they do not name to their base class
    real = {parameter for kind in classes for parameter in inspect.signature(kind.__init__).parameters}
    assert {*PARAMETERS[name].split()} - real <= RENAMED_IN_GRADIO_6.get(name, set())


def test_a_parameter_that_gradio_3_lacks_is_refused():
    with pytest.raises(TypeError, match="buttons"):
        standin().Textbox(label="Prompt", buttons=["copy"])
    with pytest.raises(TypeError, match="js"):
        standin().Button("Show").click(print, js="() => []")
