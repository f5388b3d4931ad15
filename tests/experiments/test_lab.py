"""What a notebook shows of a picture."""

import base64
import xml.etree.ElementTree as ElementTree

from matplotlib.figure import Figure

from experiments.lab.result import Check, Picture, Result


def test_a_picture_is_an_image_with_its_caption_beside_and_for_those_who_cannot_see_it():
    figure = Figure()
    figure.subplots().set_title("θ against x")
    shown = ElementTree.fromstring(Picture(figure, 'Where x < 0, "θ" & σ')._repr_html_())
    image, caption = shown
    assert image.get("alt") == caption.text == 'Where x < 0, "θ" & σ'
    kind, _, data = image.get("src", "").partition(";base64,")
    assert kind == "data:image/svg+xml"
    svg = ElementTree.fromstring(base64.b64decode(data))
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert "date" not in {element.tag.rpartition("}")[2] for element in svg.iter()}


def test_a_result_is_one_line_in_a_shell():
    checks = (Check("a", 0.0, True), Check("b", 1.0, False))
    assert repr(Result({}, {"n": 1}, checks, ())) == "Result(pictures: none; 1 of 2 checks hold; 0 fits)"
