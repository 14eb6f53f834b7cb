"""A file that follows the format loads, and the case says what the file says."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from gradcheck.catalog.case import Accuracy
from gradcheck.catalog.load import load, load_text
from gradcheck.errors import CatalogError
from gradcheck.language.nodes import Literal, Pointed

BY_EXAMPLE = """\
# cases/tutorial.yaml
square_times_three:
  summary: y = 3x², the first derivative anyone takes in PyTorch
  formula: 3*x**2
  inputs: {x: real}
  points:
    - {at: {x: 3}, value: 27, gradient: {x: 18}, hessian: {x: {x: 6}}}

partial_derivatives:
  formula: u**3 + v**2 + 4*u*v
  inputs: {u: real, v: real}
  points:
    - {at: {u: 3, v: 4}, gradient: {u: 43, v: 20}}

polar:                                        # vector-valued
  formula: [r*cos(t), r*sin(t)]
  inputs: {r: positive, t: "(-4, 4)"}
  points:
    - {at: {r: 2, t: 0}, jacobian: {r: [1, 0], t: [0, 2]}}

softmax:
  summary: every spelling of softmax that PyTorch offers
  inputs: {x: {domain: real, shape: [2, 3]}}
  sweep: {d: [0, 1]}                          # softmax[d=0], softmax[d=1]
  let: {e: exp(x)}                            # names for intermediate results, in order
  formula: e / sum(e, dim=d, keepdim=True)
  torch:                                      # several implementations of one function
    - torch.softmax(x, dim=d)
    - x.softmax(d)
    - torch.nn.functional.softmax(x, dim=d)

hypot:
  formula: sqrt(x**2 + y**2)
  inputs: {x: real, y: real}
  where: x**2 + y**2 > 0                      # joint constraint on the inputs
  torch: torch.hypot(x, y)

conv1d:                                       # the definition, written out
  inputs: {x: {shape: [2, 5]}, w: {shape: [3, 2, 2]}}
  formula: "[[sum(w[o] * x[:, i:i+2]) for i in range(4)] for o in range(3)]"
  torch: torch.nn.functional.conv1d(x, w)

gather:
  inputs: {x: {shape: [2, 3]}}
  constants: {index: [[0, 2], [1, 0]]}        # given to both sides, not differentiated
  formula: "[[x[i, index[i, j]] for j in range(2)] for i in range(2)]"
  torch: torch.gather(x, 1, index)

relu_at_its_kink:
  formula: max(x, 0)
  inputs: {x: real}
  torch: torch.relu(x)
  points:
    - at: {x: 0}
      convention: {x: 0}                      # the subgradient PyTorch promises
      because: documented under "Gradients for non-differentiable functions" in PyTorch's notes

my_swish:
  formula: x / (1 + exp(-b*x))
  inputs: {x: real, b: {domain: positive, shape: []}}
  function: my_package.ops:swish              # the user's own code
"""


@pytest.fixture(scope="module")
def by_example():
    return {case.name: case for case in load_text(BY_EXAMPLE, "tutorial.yaml")}


def only(text: str):
    (case,) = load_text(text, "f.yaml")
    return case


def test_the_example_of_the_format_loads_in_its_order(by_example):
    assert list(by_example) == [
        "square_times_three",
        "partial_derivatives",
        "polar",
        "softmax",
        "hypot",
        "conv1d",
        "gather",
        "relu_at_its_kink",
        "my_swish",
    ]


def test_a_case_knows_where_it_stands(by_example):
    assert str(by_example["polar"].where) == "tutorial.yaml:15:1"
    assert str(by_example["polar"].points[0].where) == "tutorial.yaml:19:7"
    assert str(by_example["softmax"].implementations[1].where) == "tutorial.yaml:29:7"


def test_a_case_without_order_and_dtypes_has_the_documented_defaults(by_example):
    case = by_example["hypot"]
    assert (case.order, case.dtypes) == (2, ("float64", "float32"))
    assert case.points == ()
    assert case.accuracy == {}


def test_a_sweep_makes_one_variant_for_each_value(by_example):
    variants = by_example["softmax"].variants
    assert [variant.name for variant in variants] == ["d=0", "d=1"]
    assert [variant.values for variant in variants] == [{"d": 0}, {"d": 1}]
    assert [variant.formula.judged[0].shape for variant in variants] == [(2, 3), (2, 3)]


def test_a_case_without_a_sweep_has_one_nameless_variant(by_example):
    (variant,) = by_example["conv1d"].variants
    assert (variant.name, variant.values, variant.formula.judged[0].shape) == ("", {}, (3, 4))


def test_two_sweeps_make_every_combination():
    case = only("c: {formula: 'a*x + b', inputs: {x: real}, sweep: {a: [1, 2.5], b: [-1, 0, 3]}}")
    assert [variant.name for variant in case.variants] == [
        *("a=1,b=-1", "a=1,b=0", "a=1,b=3", "a=2.5,b=-1", "a=2.5,b=0", "a=2.5,b=3"),
    ]


def test_a_sweep_of_texts_and_null_is_for_the_torch_language():
    case = only(
        "c: {formula: x, inputs: {x: real}, torch: 'F.gelu(x, approximate=how)',"
        " sweep: {how: [tanh, 'a b::[c]', null, true]}}"
    )
    assert [variant.name for variant in case.variants] == [
        *("how=tanh", "how=a_b___c_", "how=null", "how=true"),
    ]
    assert [variant.values["how"] for variant in case.variants] == ["tanh", "a b::[c]", None, True]


def test_null_in_a_sweep_can_leave_out_dim():
    case = only("c: {formula: 'sum(x, dim=d)', inputs: {x: {shape: [2]}}, sweep: {d: [0, null]}}")
    assert [variant.formula.judged[0].shape for variant in case.variants] == [(), ()]


def test_variants_whose_ids_would_be_equal_are_numbered():
    case = only(
        "c: {formula: x, inputs: {x: real}, torch: 'F.gelu(x, approximate=m)',"
        " sweep: {m: ['a b', 'a_b']}}"
    )
    assert [variant.name for variant in case.variants] == ["m=a_b", "m=a_b_2"]


def test_constants_are_exact_and_remember_their_point():
    case = only(
        "c: {formula: 'x*k*sum(a)*sum(b)*where(on, 1, 2)', inputs: {x: real},"
        " constants: {k: 0.1, a: [1, 2], b: [1.0, 2.0], on: true}}"
    )
    assert case.constants == {"k": Fraction(1, 10), "a": [1, 2], "b": [1, 2], "on": True}
    assert [isinstance(entry, Pointed) for entry in case.constants["a"]] == [False, False]
    assert [isinstance(entry, Pointed) for entry in case.constants["b"]] == [True, True]
    assert case.constants["on"] is True


@pytest.mark.parametrize(
    ("written", "exact"),
    [
        ("0.1", Fraction(1, 10)),
        ("1e-3", Fraction(1, 1000)),
        ("007", Fraction(7)),
        ("0x1F", Fraction(31)),
        ("0o17", Fraction(15)),
        ("+3", Fraction(3)),
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("12345678901234567890", Fraction(12345678901234567890)),
        ("0.1234567890123456789", Fraction("0.1234567890123456789")),
    ],
)
def test_numbers_are_exact_however_they_are_written(written, exact):
    case = only(f"c: {{formula: x + k, inputs: {{x: real}}, constants: {{k: {written}}}}}")
    assert case.constants["k"] == exact


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "y", "n", "12:30", "2020-01-01"])
def test_words_that_old_yaml_converts_stay_text(word):
    case = only(f"c: {{formula: x, inputs: {{x: real}}, summary: {word}}}")
    assert case.summary == word


def test_lists_of_numbers_and_expressions_mix():
    case = only("c: {formula: [[x, 0.5], [-1, '2*x']], inputs: {x: real}}")
    assert case.variants[0].formula.judged[0].shape == (2, 2)


def test_a_number_alone_may_be_an_expression():
    case = only("c: {formula: [x, 2], inputs: {x: real}, points: [{at: {x: 1e-5}}]}")
    assert case.points[0].at["x"] == Literal(Fraction(1, 100000))


def test_all_other_keys_arrive():
    case = only(
        "c: {formula: x, inputs: {x: real}, order: 1, dtypes: [float32], tags: [slow, a_b],"
        " accuracy: {ulps: 1000, because: a long sum}, without: {forward: no jvp, compiled: so},"
        " source: [DLMF 4.2, a book], where: [x > 0, x < 5],"
        " points: [{at: {x: 1/3}, dtypes: [float32], because: thirds}]}"
    )
    assert (case.order, case.dtypes, case.tags) == (1, ("float32",), ("slow", "a_b"))
    assert case.accuracy == {"float32": Accuracy("a long sum", 1000)}
    assert case.without == {"forward": "no jvp", "compiled": "so"}
    assert case.source == ("DLMF 4.2", "a book")
    assert len(case.conditions) == 2
    assert (case.points[0].dtypes, case.points[0].because) == (("float32",), "thirds")


def test_an_accuracy_without_dtypes_is_for_all_of_the_case():
    case = only("c: {formula: x, inputs: {x: real}, accuracy: {ulps: 9, because: a long sum}}")
    dtypes = ("float64", "float32", "float16", "bfloat16")  # the last two where a run names them
    assert case.accuracy == dict.fromkeys(dtypes, Accuracy("a long sum", 9))


def test_each_dtype_may_have_an_accuracy_of_its_own():
    case = only(
        "c: {formula: x, inputs: {x: real}, accuracy:"
        " {float32: {ulps: 9, because: half}, float64: {ulps: 5, because: a long sum}}}"
    )
    assert case.accuracy == {"float32": Accuracy("half", 9), "float64": Accuracy("a long sum", 5)}
    one = only("c: {formula: x, inputs: {x: real}, accuracy: {float32: {ulps: 9, because: half}}}")
    assert one.accuracy == {"float32": Accuracy("half", 9)}


def test_an_accuracy_may_be_by_norm_alone_or_beside_an_allowance():
    case = only(
        "c: {formula: x, inputs: {x: real}, accuracy:"
        " {float32: {normwise: true, because: svd},"
        " float64: {ulps: 5, normwise: true, because: a pivot}}}"
    )
    assert case.accuracy == {
        "float32": Accuracy("svd", normwise=True),
        "float64": Accuracy("a pivot", 5, normwise=True),
    }


def test_a_point_without_dtypes_is_for_all_of_the_case():
    case = only("c: {formula: x, inputs: {x: real}, dtypes: [float32], points: [{at: {x: 1}}]}")
    assert case.points[0].dtypes == ("float32",)


def test_a_tensor_without_elements_is_allowed():
    case = only(
        "c: {formula: 2*x, inputs: {x: {shape: [0, 3]}}, points: [{at: {x: 'zeros([0, 3])'}}]}"
    )
    assert case.inputs[0].shape == (0, 3)


def test_a_name_that_only_derivatives_use_is_free():
    (case,) = load_text("c: {formula: sech**2, inputs: {sech: real}}", "f.yaml")
    assert [each.name for each in case.inputs] == ["sech"]


def test_kinds_of_matrices_may_come_in_batches():
    case = only("c: {formula: A, inputs: {A: {shape: [4, 2, 2], kind: symmetric}}}")
    assert case.inputs[0].kind == "symmetric"


def test_aliases_share_what_they_name():
    cases = load_text("a: &a {formula: x, inputs: {x: real}}\nb: *a\n", "f.yaml")
    assert [case.name for case in cases] == ["a", "b"]


def test_a_file_on_the_disk_loads_with_its_byte_order_mark(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfc: {formula: x, inputs: {x: real}}\n")
    (case,) = load(path, shown="cases/a.yaml")
    assert str(case.where) == "cases/a.yaml:1:1"


def test_the_path_itself_is_shown_where_nothing_else_is_asked(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("c: {formula: x, inputs: {x: real}}\n")
    assert load(path)[0].where.path == str(path)


def test_the_list_of_known_failures_is_never_taken_for_cases(tmp_path):
    path = tmp_path / "known_failures.yaml"
    path.write_text("c: {formula: x, inputs: {x: real}}\n")
    with pytest.raises(CatalogError, match="a list of known failures"):
        load(path)


def test_reading_a_catalog_imports_neither_torch_nor_sympy_nor_hypothesis():
    code = (
        "import sys, gradcheck.catalog.load, gradcheck.catalog.known_failures\n"
        "import gradcheck.catalog.checks\n"
        "gradcheck.catalog.load.load_text('c: {formula: sin(x), inputs: {x: real},"
        " torch: torch.sin(x)}', 'f')\n"
        "print(sorted({'torch', 'sympy', 'hypothesis'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == "[]\n"


def test_a_declared_point_need_not_be_of_the_kind_that_is_drawn():
    case = only(
        "c: {formula: det(A), inputs: {A: {shape: [2, 2], kind: positive_definite}},"
        " points: [{at: {A: [[0, 1], [2, 0]]}, value: -2}]}"
    )
    assert len(case.points) == 1


def test_a_comprehension_of_the_torch_language_may_take_all_the_steps_that_it_has():
    case = only(
        "c: {formula: x*n, inputs: {x: real}, constants: {n: 65536},"
        " torch: 'torch.stack([x for i in range(n)]).sum()'}"
    )
    assert len(case.implementations) == 1


def test_tags_may_be_an_empty_list_and_a_source_a_list():
    case = only("c: {formula: x, inputs: {x: real}, tags: [], source: [DLMF 4.2]}")
    assert (case.tags, case.source) == ((), ("DLMF 4.2",))


BESSEL = "c: {{formula: 'besselj({}, x)', inputs: {{x: positive}}{}}}"


@pytest.mark.parametrize("order", [0, 1])
def test_a_bessel_function_that_pytorch_has_needs_no_other_code(order):
    assert len(only(BESSEL.format(order, "")).implementations) == 1


@pytest.mark.parametrize("code", ["torch: torch.special.bessel_j0(x)", "function: 'my.ops:j'"])
def test_a_bessel_function_that_pytorch_lacks_may_stand_for_the_truth(code):
    assert len(only(BESSEL.format(2, ", " + code)).implementations) == 1


def test_a_condition_is_not_translated_and_may_name_any_bessel_function():
    case = only("c: {formula: x, inputs: {x: positive}, where: 'besseli(2, x) > 1'}")
    assert len(case.conditions) == 1
