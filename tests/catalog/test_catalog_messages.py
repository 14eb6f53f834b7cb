"""What a writer of cases reads after each kind of mistake: the whole text of every message."""

import pytest
from default_witnesses import ALL_NAMES

from gradcheck.catalog.load import load_text
from gradcheck.errors import CatalogError

MESSAGES = [
    (
        "c: {formula: x**2, inputs: {x: real}, sumary: hi}",
        "f.yaml:1:39: the unknown key 'sumary'\n"
        "  expected: one of formula, inputs, summary, let, constants, sweep, "
        "torch, function, call, parameters, where, points, order, dtypes, accuracy, "
        "without, requires, "
        "tags, source\n"
        "  fix:      write summary",
    ),
    (
        "c: {formula: x, inputs: {x: real}, call: 'f(x)'}",
        "f.yaml:1:36: 'call' without 'function'\n"
        "  expected: a 'function', and an expression that calls it as f\n"
        "  fix:      add function: my_package.ops:swish, or remove it",
    ),
    (
        "c: {formula: x, inputs: {x: real}, torch: x, parameters: {weight: x}}",
        "f.yaml:1:46: 'parameters' without 'function'\n"
        "  expected: a 'function', and a map for the nn.Module that it names\n"
        "  fix:      add function: my_package.ops:swish, or remove it",
    ),
    (
        "c: {formula: x, inputs: {x: real}, function: 'm:f', call: 'x + 1'}",
        "f.yaml:1:60: no call of 'f'\n"
        "  expected: an expression in which the function is called, as f(x)\n"
        "  fix:      call the function by the name f",
    ),
    (
        "c: {formula: x, inputs: {x: real}, function: 'm:f', call: 'f + x'}",
        "f.yaml:1:60: the name 'f', which is not called\n"
        "  expected: a call of it\n"
        "  fix:      write f(x)",
    ),
    (
        "c: {formula: x, inputs: {x: real}, function: 'm:f', call: 'swish(x)'}",
        "f.yaml:1:60: a call of 'swish'\n"
        "  expected: a call of 'f', of torch.NAME, F.NAME or a method of a tensor\n"
        "  fix:      write f for the function on trial",
    ),
    (
        "c: {formula: x, inputs: {x: real}, function: 'm:f', call: 'f(x, alhpa), '}",
        "f.yaml:1:71: a comma outside brackets\n"
        "  expected: a single expression\n"
        "  fix:      write '.' in a decimal number, and [a, b] for a vector",
    ),
    (
        "c: {formula: x*a, inputs: {x: real}, constants: {alpha: 2, a: 3}, function: 'm:f', "
        "call: 'f(x, alhpa)'}",
        "f.yaml:1:50: 'alpha', which is never used\n"
        "  expected: a constant that 'formula', 'torch' or 'call' uses\n"
        "  fix:      use it or remove it\n"
        "f.yaml:1:96: the name 'alhpa', which is not defined\n"
        "  expected: an input, a constant or a name of the sweep (a, alpha, x)\n"
        "  fix:      write alpha",
    ),
    (
        "c: {formula: x*y, inputs: {x: real, y: real}, function: 'm:f', call: 'f(x, {1: x})'}",
        'f.yaml:1:77: the key 1\n  expected: a text as a key\n  fix:      write it like {"a": x}',
    ),
    (
        "c: {formula: x*y, inputs: {x: real, y: real}, function: 'm:f', call: 'f(x)'}",
        "f.yaml:1:37: 'y', which 'call' does not name\n"
        "  expected: every input in 'call'\n"
        "  fix:      name it there, or remove it",
    ),
    (
        "c: {formula: x, inputs: {x: real}, function: 'm:f', call: 'f(x).wait()'}",
        "f.yaml:1:60: the method 'wait', which the torch language does not allow\n"
        "  expected: a method of Tensor that PyTorch lists as overridable\n"
        "  fix:      write it with methods such as x.exp()",
    ),
    (
        "c: {formula: x, inputs: {x: real}, torch: 'torch.exp({\"a\": x})'}",
        "f.yaml:1:54: a mapping\n  expected: numbers, lists and calls\n  fix:      write a list",
    ),
    (
        "c: {formula: x*w, inputs: {x: real, w: real}, function: 'm:f', parameters: {weight: v}}",
        "f.yaml:1:85: 'v', which is no input\n"
        "  expected: an input: x, w\n"
        "  fix:      declare it under 'inputs'",
    ),
    (
        "c: {formula: x, inputs: {x: real}, function: 'm:f', parameters: {}}",
        "f.yaml:1:53: no parameters\n"
        "  expected: at least one\n"
        "  fix:      add one, as in weight: w, or remove the key",
    ),
    (
        "c: {formula: x, inputs: {x: real}, requires: [foward]}",
        "f.yaml:1:47: the unknown witness 'foward'\n"
        f"  expected: one of {ALL_NAMES}\n"
        "  fix:      write forward",
    ),
    (
        "c: {formula: x, inputs: {x: real}, requires: [forward], without: {forward: no jvp}}",
        "f.yaml:1:47: the witness forward, which the case is 'without'\n"
        "  expected: a witness that the case is not 'without'\n"
        "  fix:      remove it here or there",
    ),
    (
        "c: {formula: x, inputs: {x: real}, requires: [second], order: 1}",
        "f.yaml:1:47: the witness second, which is about order 2, in a case of order 1\n"
        "  expected: a witness that the case's order has\n"
        "  fix:      write order: 2 or remove it",
    ),
    (
        "c: {formula: x, inputs: {x: real}, requires: []}",
        "f.yaml:1:36: no witness\n  expected: at least one\n  fix:      add one or remove the key",
    ),
    (
        "c: {inputs: {x: real}}",
        "f.yaml:1:4: no 'formula'\n"
        "  expected: the function in the formula language: an expression, a "
        "list of them (vector), a list of lists (matrix), or a map from the names of several "
        "outputs to one of these\n"
        "  fix:      add formula: 3*x**2",
    ),
    (
        "c: {formula: x**2}",
        "f.yaml:1:4: no 'inputs'\n"
        "  expected: a map from each input's name to its domain, or to a map "
        "with domain, shape and kind\n"
        "  fix:      add inputs: {x: real}",
    ),
    (
        "c: 3",
        "f.yaml:1:4: the integer 3\n  expected: a map\n  fix:      write a map",
    ),
    (
        "- a",
        "f.yaml:1:1: a list\n"
        "  expected: a map from the names of cases to their declarations\n"
        "  fix:      add a case, as in square: {formula: x**2, inputs: {x: real}}",
    ),
    (
        "",
        "f.yaml:1:1: no cases\n"
        "  expected: a map from the names of cases to their declarations\n"
        "  fix:      add a case, as in square: {formula: x**2, inputs: {x: real}}",
    ),
    (
        "c: {formula: x^2, inputs: {x: real}}",
        "f.yaml:1:14: '^'\n"
        "  expected: '**' for a power\n"
        "  fix:      write x**2 for x to the power of 2",
    ),
    (
        "c: {formula: x**2 + yy, inputs: {x: real}}",
        "f.yaml:1:21: unknown name 'yy'\n"
        "  expected: one of e, inf, pi, x\n"
        "  fix:      define 'yy' or correct it",
    ),
    (
        "c: {formula: [max(x, 0), x], inputs: {x: real}}",
        "f.yaml:1:18: '(x', where the expression breaks off\n"
        "  expected: an expression in Python's syntax ('(' was never closed)\n"
        "  fix:      close the bracket; in a YAML list or map, quote an "
        "expression with a comma\n"
        "f.yaml:1:23: ')', where the expression breaks off\n"
        "  expected: an expression in Python's syntax (unmatched ')')\n"
        "  fix:      close the bracket; in a YAML list or map, quote an "
        "expression with a comma",
    ),
    (
        "c: {formula: x, inputs: {x: (0, 1)}}",
        "f.yaml:1:29: '(0', which is no domain\n"
        "  expected: one of real, positive, negative, nonnegative, nonzero, "
        "complex, an interval such as (0, pi/2], or several joined by |\n"
        '  fix:      write it like "(0, 1)", in quotes: a bracket or a comma '
        "ends a bare text in YAML\n"
        "f.yaml:1:35: nothing\n"
        "  expected: a domain such as real or (0, 1)\n"
        '  fix:      quote an interval, as in "(0, 1)": a comma ends a bare text',
    ),
    (
        "c: {formula: x, inputs: {x: reel}}",
        "f.yaml:1:29: the unknown domain 'reel'\n"
        "  expected: one of real, positive, negative, nonnegative, nonzero, "
        "complex, an interval such as (0, pi/2], or several joined by |\n"
        "  fix:      write real",
    ),
    (
        "c: {formula: x, inputs: {x: '(1, 0)'}}",
        "f.yaml:1:30: '(1, 0)', an empty domain\n"
        "  expected: a lower end below the upper one\n"
        "  fix:      exchange the ends, or close both for a single number",
    ),
    (
        "c: {formula: abs(z), inputs: {z: '|z| < 1 and re > 2'}}",
        "f.yaml:1:47: 're > 2', which no number of '|z| < 1' meets\n"
        "  expected: conditions that some number meets\n"
        "  fix:      correct one of them, or leave one out",
    ),
    (
        "c: {formula: x, inputs: {x: '(0, 1/0)'}}",
        "f.yaml:1:34: a division of constants by zero\n"
        "  expected: a number\n"
        "  fix:      correct it",
    ),
    (
        "c: {formula: x, inputs: {x: '(0, y)'}}",
        "f.yaml:1:34: unknown name 'y'\n"
        "  expected: one of e, inf, pi\n"
        "  fix:      define 'y' or correct it",
    ),
    (
        "c: {formula: x, inputs: {x: '[0, inf]'}}",
        "f.yaml:1:37: '[0, inf]', closed at infinity\n"
        "  expected: an open end there\n"
        "  fix:      write ')'",
    ),
    (
        "c: {formula: x, inputs: {x: '(0, 1e-400)'}}",
        "f.yaml:1:26: the domain (0, 1e-400), which holds no float64 and no "
        "float32 number\n"
        "  expected: a domain with floating-point numbers in it\n"
        "  fix:      widen the domain, or leave the dtype out under 'dtypes'",
    ),
    (
        "c: {formula: x, inputs: {x: {shape: [65537]}}}",
        "f.yaml:1:38: the integer 65537\n"
        "  expected: an integer from 0 to 65,536\n"
        "  fix:      write such an integer",
    ),
    (
        "c: {formula: sum(x), inputs: {x: {shape: [n]}}, sweep: {n: [1, -2]}}",
        "f.yaml:1:43: the dimension -2 where n = -2\n"
        "  expected: an integer from 0 to 65,536\n"
        "  fix:      correct it, or the values of the sweep",
    ),
    (
        "c: {formula: x*n, inputs: {x: '(0, n)'}, sweep: {n: [1, -2]}}",
        "f.yaml:1:31: '(0, (-2))', an empty domain where n = -2\n"
        "  expected: a lower end below the upper one\n"
        "  fix:      exchange the ends, or close both for a single number",
    ),
    (
        "c: {formula: x*n, inputs: {x: '(0, n)'}, sweep: {n: [2, 1]}, points: [{at: {x: 3/2}}]}",
        "f.yaml:1:77: the point x = 1.5, outside the domain (in the variant n=1)\n"
        "  expected: a number in (0, (1))\n"
        "  fix:      move the point",
    ),
    (
        "c: {formula: sum(x), inputs: {x: {shape: [m]}}, sweep: {n: [1, 2]}}",
        "f.yaml:1:43: unknown name 'm'\n"
        "  expected: one of e, inf, n, pi\n"
        "  fix:      define 'm' or correct it",
    ),
    (
        "c: {formula: sum(x), inputs: {x: {shape: [n/2]}}, sweep: {n: [2, 3]}}",
        "f.yaml:1:43: no constant integer\n  expected: a constant integer\n  fix:      write one",
    ),
    (
        "c: {formula: sum(x), inputs: {x: {shape: [n, n]}}, sweep: {n: [1024, 1025]}, order: 1}",
        "f.yaml:1:35: the shape [1025, 1025], a tensor of 1,050,625 elements where n = 1025\n"
        "  expected: at most 1,048,576 elements in 16 dimensions\n"
        "  fix:      make the shape smaller",
    ),
    (
        "c: {formula: sum(x), inputs: {x: {shape: [n]}}, sweep: {n: [2, 3]},"
        " points: [{at: {x: [1, 2]}}]}",
        "f.yaml:1:84: a value of shape [2] (in the variant n=3)\n"
        "  expected: one of shape [3]\n"
        "  fix:      write nested lists of that shape",
    ),
    (
        "c: {formula: x, inputs: {x: real, stop: real}}",
        "f.yaml:1:35: the name 'stop', which the formula language already has\n"
        "  expected: a name of its own\n"
        "  fix:      choose another name",
    ),
    (
        "c: {formula: floor(z), inputs: {z: complex}}",
        "f.yaml:1:20: floor of a complex number\n"
        "  expected: real numbers there\n"
        "  fix:      write it with re(z), im(z), abs(z) or arg(z)",
    ),
    (
        "c: {formula: z, inputs: {z: complex}, dtypes: [complex128, float32]}",
        "f.yaml:1:60: the dtype float32 of a case with a complex input\n"
        "  expected: one of complex128, complex64\n"
        "  fix:      write complex64",
    ),
    (
        "c: {formula: exp(I*x), inputs: {x: real}, dtypes: [complex128]}",
        "f.yaml:1:52: the dtype complex128 of a case whose inputs are all real\n"
        "  expected: one of float64, float32, float16, bfloat16\n"
        "  fix:      write float64",
    ),
    (
        "c: {formula: 2*x, inputs: {x: real}, points: [{at: {x: 2*I}, value: 4*I}]}",
        "f.yaml:1:53: a complex number\n"
        "  expected: a real number\n"
        "  fix:      write a real one, or correct the formula or the domain\n"
        "f.yaml:1:62: a complex number\n"
        "  expected: a real number\n"
        "  fix:      write a real one, or correct the formula or the domain",
    ),
    (
        "c: {formula: z**2, inputs: {z: complex}, points: [{at: {z: 1}, jacobian: {z: 2}}]}",
        "f.yaml:1:75: a jacobian of a complex result by the complex input 'z'\n"
        "  expected: a derivative that one complex number states: of a real result, once\n"
        "  fix:      remove it, or name the outputs {re: re(...), im: im(...)}",
    ),
    (
        "c: {formula: z**2, inputs: {z: complex}, points: [{at: {z: 1}, gradient: {z: 2}}]}",
        "f.yaml:1:75: a gradient of a complex result by the complex input 'z'\n"
        "  expected: a derivative that one complex number states: of a real result, once\n"
        "  fix:      remove it, or name the outputs {re: re(...), im: im(...)}",
    ),
    (
        "c: {formula: exp(I*x), inputs: {x: real}, points: [{at: {x: 0}, gradient: {x: I}}]}",
        "f.yaml:1:65: a gradient of a complex result\n"
        "  expected: a real result, or 'jacobian'\n"
        "  fix:      write 'jacobian'",
    ),
    (
        "c: {formula: abs(z)**2, inputs: {z: complex},"
        " points: [{at: {z: 1}, hessian: {z: {z: 2}}}]}",
        "f.yaml:1:83: a hessian by the complex input 'z'\n"
        "  expected: a derivative that one complex number states: of a real result, once\n"
        "  fix:      remove it, or name the outputs {re: re(...), im: im(...)}",
    ),
    (
        "c: {formula: {a: null}, inputs: {x: real}}",
        "f.yaml:1:14: no output that is judged\n"
        "  expected: a formula\n"
        "  fix:      write a formula for at least one of them",
    ),
    (
        "c: {formula: {a: sin(x), b: '[x, y]'}, inputs: {x: real}}",
        "f.yaml:1:34: unknown name 'y'\n"
        "  expected: one of e, inf, pi, x\n"
        "  fix:      define 'y' or correct it",
    ),
    (
        "c: {formula: {a: sin(x), b: null}, inputs: {x: real}, points: [{at: {x: 0}, value: 3,"
        " gradient: {x: 1}, jacobian: {b: {x: 1}, x: 1}}]}",
        "f.yaml:1:84: a value that names no output\n"
        "  expected: a map from outputs: a\n"
        "  fix:      write value: {a: ...}\n"
        "f.yaml:1:87: a gradient of a function of several outputs\n"
        "  expected: a function with a single number as its result\n"
        "  fix:      write 'jacobian', output by output\n"
        "f.yaml:1:116: an answer for the output 'b', which is not judged\n"
        "  expected: one of a\n"
        "  fix:      remove it\n"
        "f.yaml:1:130: a jacobian that names no output\n"
        "  expected: a map from outputs: a\n"
        "  fix:      write jacobian: {a: ...}",
    ),
    (
        "c: {formula: {out: sin(x), lse: x}, inputs: {x: real}, points: [{at: {x: 0},"
        " value: {lsee: 1}, jacobian: {out: {y: 1}}, hessian: {x: {x: 1}}}]}",
        "f.yaml:1:86: the unknown output 'lsee'\n"
        "  expected: one of out, lse\n"
        "  fix:      write lse\n"
        "f.yaml:1:113: the unknown input 'y'\n"
        "  expected: one of x\n"
        "  fix:      choose one of these\n"
        "f.yaml:1:121: a hessian of a function of several outputs\n"
        "  expected: a function with a single number as its result\n"
        "  fix:      remove it",
    ),
    (
        "c: {formula: sin(x), inputs: {x: real}, points: [{at: {x: 0}, value: {d: 1}}]}",
        "f.yaml:1:71: a map under 'd', as for a formula of several outputs\n"
        "  expected: numbers: the formula's only output has no name\n"
        "  fix:      write the numbers themselves",
    ),
    (
        "c: {formula: x, inputs: {x: {shape: 3}}}",
        "f.yaml:1:37: the integer 3\n"
        "  expected: a list of dimensions, [] for a single number\n"
        "  fix:      write it like [2, 3]",
    ),
    (
        "c: {formula: x, inputs: {x: {shape: [1024, 64, 17]}}}",
        "f.yaml:1:37: the shape [1024, 64, 17], a tensor of 1,114,112 elements\n"
        "  expected: at most 1,048,576 elements in 16 dimensions\n"
        "  fix:      make the shape smaller",
    ),
    (
        "c: {formula: x, inputs: {x: {shap: [2]}}}",
        "f.yaml:1:30: the unknown key 'shap'\n"
        "  expected: one of domain, shape, kind\n"
        "  fix:      write shape",
    ),
    (
        "c: {formula: x, inputs: {x: {shape: [2,3], kind: symmetric}}}",
        "f.yaml:1:30: the shape [2, 3] of a matrix that is symmetric\n"
        "  expected: a square matrix, or a batch of them\n"
        "  fix:      write a shape like [3, 3]",
    ),
    (
        "c: {formula: x, inputs: {x: {shape: [2,2], kind: symetric}}}",
        "f.yaml:1:50: the unknown kind 'symetric'\n"
        "  expected: one of positive_definite, symmetric, invertible, "
        "lower_triangular, orthogonal\n"
        "  fix:      write symmetric",
    ),
    (
        "c: {formula: x, inputs: {x: real, y: real}}",
        "f.yaml:1:35: 'y', which is never used\n"
        "  expected: an input that the formula uses\n"
        "  fix:      use it or remove it",
    ),
    (
        "c: {formula: x, inputs: {x: real}, constants: {k: 2}}",
        "f.yaml:1:48: 'k', which is never used\n"
        "  expected: a constant that 'formula', 'torch' or 'call' uses\n"
        "  fix:      use it or remove it",
    ),
    (
        "c: {formula: x, inputs: {x: real}, let: {s: x+1}}",
        "f.yaml:1:42: 's', which is never used\n"
        "  expected: an intermediate result that a later text uses\n"
        "  fix:      use it or remove it",
    ),
    (
        "c: {formula: s, inputs: {x: real}, let: {s: x+1}, torch: s}",
        "f.yaml:1:58: the name 's', which is not defined\n"
        "  expected: an input, a constant or a name of the sweep (x)\n"
        "  fix:      declare it under 'inputs', 'constants' or 'sweep' (the "
        "torch language sees no 'let')",
    ),
    (
        "c: {formula: x, inputs: {x: real}, torch: x*torch.tensor(1.0)}",
        "f.yaml:1:45: 'torch.tensor', which the torch language does not allow\n"
        "  expected: data under `constants`\n"
        "  fix:      declare `constants: {k: [1.0]}` and write k, a tensor of one entry, or k[0], "
        "one without dimensions",
    ),
    (
        "c: {formula: x, inputs: {x: real}, torch: torch.reul(x)}",
        "f.yaml:1:43: 'torch.reul', which the torch language does not allow\n"
        "  expected: a function on tensors that PyTorch lists as overridable\n"
        "  fix:      write torch.relu",
    ),
    (
        "c: {formula: x, inputs: {x: real}, torch: torch.load('x')}",
        "f.yaml:1:43: 'torch.load', which the torch language does not allow\n"
        "  expected: a function on tensors that PyTorch lists as overridable\n"
        "  fix:      write it with functions such as torch.exp",
    ),
    (
        "c: {formula: x, inputs: {x: real},"
        " torch: ['torch.stack([x for i in range(10**9)]).sum()', 'torch.sine(x)']}",
        "f.yaml:1:57: more than 65,536 loop steps\n"
        "  expected: at most 65,536\n"
        "  fix:      loop over less, or write it with array functions\n"
        "f.yaml:1:93: 'torch.sine', which the torch language does not allow\n"
        "  expected: a function on tensors that PyTorch lists as overridable\n"
        "  fix:      write torch.sin",
    ),
    (
        "c: {formula: x, inputs: {x: real}, constants: {n: 70000},"
        " torch: 'x*[0 for i in range(n)][0]'}",
        "f.yaml:1:69: more than 65,536 loop steps\n"
        "  expected: at most 65,536\n"
        "  fix:      loop over less, or write it with array functions",
    ),
    (
        "c: {formula: x, inputs: {x: real}, torch: x, function: 'a.b:c'}",
        "f.yaml:1:46: 'function' beside 'torch'\n"
        "  expected: only one of the two\n"
        "  fix:      remove one of them, or make two cases",
    ),
    (
        "c: {formula: x, inputs: {x: real}, function: 'a.b.c'}",
        "f.yaml:1:46: the text 'a.b.c'\n"
        "  expected: package.module:attribute\n"
        "  fix:      write the module, a colon, and the name in it, as in "
        "my_package.ops:swish",
    ),
    (
        "c: {formula: x, inputs: {x: real}, function: 3}",
        "f.yaml:1:46: the integer 3\n  expected: a text\n  fix:      quote it",
    ),
    (
        "c: {formula: x, inputs: {x: real}, order: 4}",
        "f.yaml:1:43: the integer 4\n  expected: 1, 2 or 3\n  fix:      write such an integer",
    ),
    (
        "c: {formula: x, inputs: {x: real}, dtypes: [float46]}",
        "f.yaml:1:45: the unknown dtype 'float46'\n"
        "  expected: one of float64, float32, float16, bfloat16, complex128, complex64\n"
        "  fix:      write float64",
    ),
    (
        "c: {formula: x, inputs: {x: real}, dtypes: float64}",
        "f.yaml:1:44: the text 'float64'\n"
        "  expected: a list of dtypes; default float64 and float32, or complex128 and complex64 "
        "where an input is complex\n"
        "  fix:      write it like dtypes: [float64, float32]",
    ),
    (
        "c: {formula: x, inputs: {x: real}, without: {revers: x}}",
        "f.yaml:1:46: the unknown witness 'revers'\n"
        f"  expected: one of {ALL_NAMES}\n"
        "  fix:      write reverse",
    ),
    (
        "c: {formula: x, inputs: {x: real}, tags: [cpu, a b]}",
        "f.yaml:1:43: the tag 'cpu', which is a marker already\n"
        "  expected: a word of the case's own\n"
        "  fix:      rename the tag\n"
        "f.yaml:1:48: the text 'a b'\n"
        "  expected: a word of ASCII letters, digits and underscores\n"
        "  fix:      rename the tag",
    ),
    (
        "c: {formula: x, inputs: {x: real}, accuracy: {ulps: 0, because: x}}",
        "f.yaml:1:53: the integer 0\n"
        "  expected: a positive integer\n"
        "  fix:      write such an integer",
    ),
    (
        "c: {formula: x, inputs: {x: real}, accuracy: {ulps: 10}}",
        "f.yaml:1:36: no 'because'\n"
        "  expected: a text: the reason\n"
        "  fix:      add because: a long sum",
    ),
    (
        "c: {formula: x, inputs: {x: real}, accuracy: {flot32: {ulps: 0}}}",
        "f.yaml:1:47: no 'because'\n"
        "  expected: a text: the reason\n"
        "  fix:      add because: a long sum\n"
        "f.yaml:1:62: the integer 0\n"
        "  expected: a positive integer\n"
        "  fix:      write such an integer",
    ),
    (
        "c: {formula: x, inputs: {x: real}, accuracy: {flot32: {ulps: 1, because: x}}}",
        "f.yaml:1:47: the unknown dtype 'flot32'\n"
        "  expected: one of float64, float32, float16, bfloat16, complex128, complex64\n"
        "  fix:      write float32",
    ),
    (
        "c: {formula: x, inputs: {x: real}, accuracy: {float16: {ulps: 1, because: x}}}",
        "f.yaml:1:47: the accuracy of float16\n"
        "  expected: one of the case's: float64, float32\n"
        "  fix:      remove it, or add it to the case's 'dtypes'",
    ),
    (
        "c: {formula: x, inputs: {x: real}, dtypes: [float64],"
        " accuracy: {float32: {ulps: 1, because: x}}}",
        "f.yaml:1:66: the accuracy of float32\n"
        "  expected: one of the case's: float64\n"
        "  fix:      remove it, or add it to the case's 'dtypes'",
    ),
    (
        "c: {formula: x, inputs: {x: real}, accuracy: {because: x}}",
        "f.yaml:1:36: an accuracy that allows nothing\n"
        "  expected: ulps, or normwise: true\n"
        "  fix:      add ulps: 1000, or normwise: true",
    ),
    (
        "c: {formula: x, inputs: {x: real}, accuracy: {float32: {normwise: 1, because: x}}}",
        "f.yaml:1:67: the integer 1\n  expected: true or false\n  fix:      write true",
    ),
    (
        "c: {formula: x, inputs: {x: real}, accuracy: {float32: 3}}",
        "f.yaml:1:56: the integer 3\n  expected: a map\n  fix:      write a map",
    ),
    (
        "c: {formula: x, inputs: {x: real}, accuracy: {ulps: 3, because: x, float32: {}}}",
        "f.yaml:1:68: the unknown key 'float32'\n"
        "  expected: one of ulps, normwise, because\n"
        "  fix:      remove it",
    ),
    (
        "c: {formula: x*d, inputs: {x: real}, sweep: {d: [0, 0]}}",
        "f.yaml:1:53: the value 0 again\n  expected: each value once\n  fix:      remove it",
    ),
    (
        "c: {formula: x*d, inputs: {x: real}, sweep: {d: []}}",
        "f.yaml:1:46: no values\n  expected: at least one value\n  fix:      add one, as in [0, 1]",
    ),
    (
        "c: {formula: x*d, inputs: {x: real}, sweep: {d: 3}}",
        "f.yaml:1:49: the integer 3\n"
        "  expected: a list\n"
        "  fix:      write it like sweep: {d: [0, 1]}",
    ),
    (
        "c: {formula: x*d, inputs: {x: real}, sweep: {d: "
        "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,2"
        "6,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49"
        ",50,51,52,53,54,55,56,57,58,59,60,61,62,63,64,65,66,67,68,69,70,71,72,"
        "73,74,75,76,77,78,79,80,81,82,83,84,85,86,87,88,89,90,91,92,93,94,95,9"
        "6,97,98,99,100,101,102,103,104,105,106,107,108,109,110,111,112,113,114"
        ",115,116,117,118,119,120,121,122,123,124,125,126,127,128,129,130,131,1"
        "32,133,134,135,136,137,138,139,140,141,142,143,144,145,146,147,148,149"
        ",150,151,152,153,154,155,156,157,158,159,160,161,162,163,164,165,166,1"
        "67,168,169,170,171,172,173,174,175,176,177,178,179,180,181,182,183,184"
        ",185,186,187,188,189,190,191,192,193,194,195,196,197,198,199,200,201,2"
        "02,203,204,205,206,207,208,209,210,211,212,213,214,215,216,217,218,219"
        ",220,221,222,223,224,225,226,227,228,229,230,231,232,233,234,235,236,2"
        "37,238,239,240,241,242,243,244,245,246,247,248,249,250,251,252,253,254"
        ",255,256,257,258,259,260,261,262,263,264,265,266,267,268,269,270,271,2"
        "72,273,274,275,276,277,278,279,280,281,282,283,284,285,286,287,288,289"
        ",290,291,292,293,294,295,296,297,298,299]}}",
        "f.yaml:1:38: a sweep of 300 variants\n"
        "  expected: at most 256\n"
        "  fix:      leave values out, or split the case",
    ),
    (
        "c: {formula: 'sum(x, dim=d)', inputs: {x: {shape: [2]}}, sweep: {d: [0, 1, 2]}}",
        "f.yaml:1:15: dim=1 of an array of 1 dimensions (in the variant d=1)\n"
        "  expected: -1 <= dim < 1\n"
        "  fix:      change the shapes or arguments\n"
        "f.yaml:1:15: dim=2 of an array of 1 dimensions (in the variant d=2)\n"
        "  expected: -1 <= dim < 1\n"
        "  fix:      change the shapes or arguments",
    ),
    (
        "c: {formula: x*k, inputs: {x: {shape: [2]}}, constants: {k: [[1, 2], [3]]}}",
        "f.yaml:1:70: an entry of shape [1] after one of shape [2]\n"
        "  expected: a rectangular list\n"
        "  fix:      give every list as many entries",
    ),
    (
        "c: {formula: x*k, inputs: {x: {shape: [2]}}, constants: {k: [true, 2]}}",
        "f.yaml:1:61: a list of booleans and numbers\n"
        "  expected: either booleans or numbers\n"
        "  fix:      write 1 and 0",
    ),
    (
        "c: {formula: x*k, inputs: {x: real}, constants: {k: abc}}",
        "f.yaml:1:53: the text 'abc'\n"
        "  expected: a number, a boolean, or a list of them\n"
        "  fix:      write a decimal number",
    ),
    (
        "c: {formula: x*k, inputs: {x: real}, constants: {k: 1e999999999}}",
        "f.yaml:1:53: a number of more than 10,000 digits\n"
        "  expected: at most 10,000 digits\n"
        "  fix:      write a shorter number",
    ),
    (
        "c: {formula: x*k, inputs: {x: real}, constants: {k: .nan}}",
        "f.yaml:1:53: the number .nan\n  expected: an exact number\n  fix:      remove it",
    ),
    (
        "c: {formula: x*k, inputs: {x: real}, constants: {k: null}}",
        "f.yaml:1:53: nothing\n"
        "  expected: a number, a boolean, or a list of them\n"
        "  fix:      write a decimal number",
    ),
    (
        "c: {formula: x, inputs: {x: real}, points: [{at: {x: 1, y: 2}}]}",
        "f.yaml:1:57: the unknown input 'y'\n  expected: one of x\n  fix:      choose one of these",
    ),
    (
        "c: {formula: x, inputs: {x: real}, points: [{at: {}}]}",
        "f.yaml:1:46: no value for 'x'\n"
        "  expected: a value for every input: x\n"
        "  fix:      add x: ...",
    ),
    (
        "c: {formula: x, inputs: {x: real}, points: [{value: 1}]}",
        "f.yaml:1:45: no 'at'\n"
        "  expected: a map from every input's name to its value, exact: 3, "
        "1/3, pi or nested lists\n"
        "  fix:      add at: {x: 3}",
    ),
    (
        "c: {formula: x, inputs: {x: positive}, points: [{at: {x: -1}}]}",
        "f.yaml:1:55: the point x = -1.0, outside the domain\n"
        "  expected: a number in positive\n"
        "  fix:      move the point",
    ),
    (
        "c: {formula: x, inputs: {x: '(0, 1)'}, points: [{at: {x: 1 - 1e-10}}]}",
        "f.yaml:1:55: the point x = 1.0 in float32, outside the domain\n"
        "  expected: a number in (0, 1)\n"
        "  fix:      write dtypes: [float64] in the point, or move the point",
    ),
    (
        "c: {formula: x, inputs: {x: real}, points: [{at: {x: exp(exp(30))}}]}",
        "f.yaml:1:51: the point x = inf, outside the domain\n"
        "  expected: a number in real\n"
        "  fix:      move the point",
    ),
    (
        "c: {formula: x, inputs: {x: real}, points: [{at: {x: [1]}}]}",
        "f.yaml:1:51: a value of shape [1]\n"
        "  expected: one of shape []\n"
        "  fix:      write a number",
    ),
    (
        "c: {formula: x, inputs: {x: {shape: [2,2]}}, points: [{at: {x: [[1,2],[3]]}}]}",
        "f.yaml:1:61: entries of shapes [2] and [1]\n"
        "  expected: entries of one shape\n"
        "  fix:      change the shapes or arguments",
    ),
    (
        "c: {formula: x, inputs: {x: {shape: [2]}}, points: [{at: {x: [1,2]}, "
        "gradient: {x: [1,0]}}]}",
        "f.yaml:1:70: a gradient of a function whose result has the shape [2]\n"
        "  expected: a function with a single number as its result\n"
        "  fix:      write 'jacobian'",
    ),
    (
        "c: {formula: x, inputs: {x: {shape: [2]}}, points: [{at: {x: [1,2]}, "
        "jacobian: {x: [1,0]}, value: 3}]}",
        "f.yaml:1:81: a value of shape [2]\n"
        "  expected: one of shape [2, 2]\n"
        "  fix:      write nested lists of that shape\n"
        "f.yaml:1:92: a value of shape []\n"
        "  expected: one of shape [2]\n"
        "  fix:      write nested lists of that shape",
    ),
    (
        "c: {formula: x**2, inputs: {x: real}, points: [{at: {x: 1}, hessian: "
        "{x: {y: 2}}, gradient: {z: 1}}]}",
        "f.yaml:1:75: the unknown input 'y'\n"
        "  expected: one of x\n"
        "  fix:      choose one of these\n"
        "f.yaml:1:94: the unknown input 'z'\n"
        "  expected: one of x\n"
        "  fix:      choose one of these",
    ),
    (
        "c: {formula: x, inputs: {x: real, }, where: x > 0, points: [{at: {x: -1}}]}",
        "f.yaml:1:62: a point where 'where' does not hold\n"
        "  expected: a point that, in float64, meets every condition of 'where'\n"
        "  fix:      move the point",
    ),
    (
        "c: {formula: x, inputs: {x: real, }, where: x + 1}",
        "f.yaml:1:45: no single condition\n"
        "  expected: a comparison that is true or false at a point\n"
        "  fix:      write a comparison, and amin(...) or amax(...) over the "
        "entries of an array",
    ),
    (
        "c: {formula: x, inputs: {x: '[1e5, 1e6]'}, points: [{at: {x: 1e5}, dtypes: [float16]}]}",
        "f.yaml:1:59: the point x = inf, outside the domain\n"
        "  expected: a number in [1e5, 1e6]\n"
        "  fix:      move the point\n"
        "f.yaml:1:77: the dtype float16 of a point\n"
        "  expected: one of the case's: float64, float32, bfloat16\n"
        "  fix:      remove it, or add it to the case's 'dtypes'",
    ),
    (
        "c: {formula: x, inputs: {x: real, }, order: 1, points: [{at: {x: 1}, "
        "hessian: {x: {x: 0}}, dtypes: [float32]}], dtypes: [float64]}",
        "f.yaml:1:70: a Hessian in a case of order 1\n"
        "  expected: order 2, which verifies Hessians\n"
        "  fix:      write order: 2 or remove it\n"
        "f.yaml:1:101: the dtype float32 of a point\n"
        "  expected: one of the case's: float64\n"
        "  fix:      remove it, or add it to the case's 'dtypes'",
    ),
    (
        "c: {formula: sin(sin), inputs: {sin: real}}",
        "f.yaml:1:33: the name 'sin', which the formula language already has\n"
        "  expected: a name of its own\n"
        "  fix:      choose another name",
    ),
    (
        "1c: {formula: x, inputs: {x: real}}",
        "f.yaml:1:1: the name '1c'\n"
        "  expected: a Python identifier in ASCII that is no keyword\n"
        "  fix:      use letters, digits and underscores, and begin with a letter",
    ),
    (
        "c: {formula: x*k, inputs: {x: real}, constants: {x: 2, k: 1}}",
        "f.yaml:1:50: the name 'x' again, under 'inputs' on line 1\n"
        "  expected: each name once among inputs, constants, let and sweep\n"
        "  fix:      rename one of them",
    ),
    (
        "c: {formula: x, inputs: {}}",
        "f.yaml:1:17: no inputs\n  expected: at least one\n  fix:      add an input, as in x: real",
    ),
    (
        "c: {formula: , inputs: {x: real}}",
        "f.yaml:1:14: nothing\n  expected: an expression\n  fix:      write one",
    ),
    (
        "c: {formula: true, inputs: {x: real}}",
        "f.yaml:1:14: the boolean true\n"
        "  expected: an expression\n"
        "  fix:      write 1 or 0, or a comparison",
    ),
    (
        "c: {formula: .inf, inputs: {x: real}}",
        "f.yaml:1:14: the number .inf\n"
        "  expected: an exact number\n"
        "  fix:      write inf in a text",
    ),
    (
        "c: {formula: {a: b}, inputs: {x: real}}",
        "f.yaml:1:18: unknown name 'b'\n"
        "  expected: one of e, inf, pi, x\n"
        "  fix:      define 'b' or correct it",
    ),
    (
        "c: {formula: [x, [x, x]], inputs: {x: real}}",
        "f.yaml:1:14: entries of shapes [] and [2]\n"
        "  expected: entries of one shape\n"
        "  fix:      change the shapes or arguments",
    ),
    (
        "c: {formula: [[[x]]], inputs: {x: real}}",
        "f.yaml:1:16: a list\n"
        "  expected: an expression\n"
        "  fix:      quote a text that begins with a bracket",
    ),
    (
        "c: {formula: [x + a, x - b], inputs: {x: real}, where: [x > c, x < d]}",
        "f.yaml:1:19: unknown name 'a'\n"
        "  expected: one of e, inf, pi, x\n"
        "  fix:      define 'a' or correct it\n"
        "f.yaml:1:26: unknown name 'b'\n"
        "  expected: one of e, inf, pi, x\n"
        "  fix:      define 'b' or correct it\n"
        "f.yaml:1:61: unknown name 'c'\n"
        "  expected: one of e, inf, pi, x\n"
        "  fix:      define 'c' or correct it\n"
        "f.yaml:1:68: unknown name 'd'\n"
        "  expected: one of e, inf, pi, x\n"
        "  fix:      define 'd' or correct it",
    ),
    (
        "c: {formula: x + a, inputs: {x: real}, sumary: h, points: [{att: 3}, {at: {x: q}}]}",
        "f.yaml:1:18: unknown name 'a'\n"
        "  expected: one of e, inf, pi, x\n"
        "  fix:      define 'a' or correct it\n"
        "f.yaml:1:40: the unknown key 'sumary'\n"
        "  expected: one of formula, inputs, summary, let, constants, sweep, "
        "torch, function, call, parameters, where, points, order, dtypes, accuracy, "
        "without, requires, "
        "tags, source\n"
        "  fix:      write summary\n"
        "f.yaml:1:60: no 'at'\n"
        "  expected: a map from every input's name to its value, exact: 3, "
        "1/3, pi or nested lists\n"
        "  fix:      add at: {x: 3}\n"
        "f.yaml:1:61: the unknown key 'att'\n"
        "  expected: one of at, value, gradient, jacobian, hessian, "
        "convention, because, dtypes\n"
        "  fix:      write at\n"
        "f.yaml:1:79: unknown name 'q'\n"
        "  expected: one of e, inf, pi\n"
        "  fix:      define 'q' or correct it",
    ),
    (
        "c: {formula: x, inputs: {x: real}, summary: 'a\n\n b'}",
        "f.yaml:3:2: a second line\n"
        "  expected: a text of one line\n"
        "  fix:      shorten it to one line",
    ),
    (
        "c: {formula: x, inputs: {x: real}, torch: []}",
        "f.yaml:1:36: no entry under 'torch'\n"
        "  expected: at least one\n"
        "  fix:      add one or remove it",
    ),
    (
        "c: {formula: 'sum(x[i] for i in range(5))', inputs: {x: {shape: [3]}}}",
        "f.yaml:1:19: the index [3] of an array of shape [3]\n"
        "  expected: an index inside the array\n"
        "  fix:      correct the index or the shape",
    ),
    (
        "c: {formula: x, inputs: {x: real}, <<: 3}",
        "f.yaml:1:36: the unknown key '<<'\n"
        "  expected: one of formula, inputs, summary, let, constants, sweep, "
        "torch, function, call, parameters, where, points, order, dtypes, accuracy, "
        "without, requires, "
        "tags, source\n"
        "  fix:      remove it",
    ),
    (
        "c: {formula: x+1\n  inputs: {x: real}}",
        "f.yaml:1:4: a map whose '{' is not closed\n"
        "  expected: ',' or '}'\n"
        "  fix:      close it; quote an expression that holds a bracket, a brace or a comma",
    ),
    (
        "a: {formula: x, inputs: {x: real}}\na: {formula: x, inputs: {x: real}}",
        "f.yaml:2:1: the key 'a' for the second time; the first is on line 1\n"
        "  expected: each key once\n"
        "  fix:      remove or rename one of them",
    ),
    (
        "c: {formula: x, formula: x, inputs: {x: real}}",
        "f.yaml:1:17: the key 'formula' for the second time; the first is on line 1\n"
        "  expected: each key once\n"
        "  fix:      remove or rename one of them",
    ),
    (
        "c:\n\tformula: x",
        "f.yaml:2:1: a tab in the indentation\n  expected: spaces\n  fix:      indent with spaces",
    ),
    (
        "c: {formula: !!int x, inputs: {x: real}}",
        "f.yaml:1:14: the tag !!int before 'x'\n"
        "  expected: a value of that type\n"
        "  fix:      remove the tag; a case file is only data",
    ),
    (
        "c: {formula: *x, inputs: {x: real}}",
        "f.yaml:1:14: the alias *x of an anchor that is not there\n"
        "  expected: an anchor &x before it\n"
        "  fix:      quote the text if it begins with a '*' of its own",
    ),
    (
        "? [c]\n: {formula: x}",
        "f.yaml:1:3: a list as a key\n  expected: a name\n  fix:      write a name before ':'",
    ),
    (
        "c: {formula: x, inputs: {x: real}}\n---\nd: 3",
        "f.yaml:2:1: a second document\n"
        "  expected: one document in a file\n"
        "  fix:      split the file",
    ),
    (
        "c: {formula: x, inputs: [x]}",
        "f.yaml:1:25: a list\n"
        "  expected: a map from each input's name to its domain, or to a map "
        "with domain, shape and kind\n"
        "  fix:      write it like inputs: {x: real}",
    ),
    (
        "c: {formula: x, inputs: {x: real}, points: {at: {x: 1}}}",
        "f.yaml:1:44: a map\n"
        "  expected: a list of fixed inputs that are always tested\n"
        "  fix:      write it like points: [{at: {x: 3}, value: 27}]",
    ),
    (
        "c: {formula: x, inputs: {x: real}, points: [3]}",
        "f.yaml:1:45: the integer 3\n"
        "  expected: a map\n"
        "  fix:      write it like points: [{at: {x: 3}, value: 27}]",
    ),
    (
        "c: {formula: x, inputs: {x: real}, points: [{at: [1]}]}",
        "f.yaml:1:50: a list\n"
        "  expected: a map from every input's name to its value, exact: 3, "
        "1/3, pi or nested lists\n"
        "  fix:      write it like at: {x: 3}",
    ),
    (
        "c: {formula: x, inputs: {x: real}, accuracy: 10}",
        "f.yaml:1:46: the integer 10\n"
        "  expected: a map with ulps or normwise, and because, or a map from dtypes "
        "to such maps: a wider allowance than the derived one, or errors that are measured by the "
        "norm of their array\n"
        "  fix:      write it like accuracy: {ulps: 1000, because: a long sum}",
    ),
    (
        "c: {formula: x, inputs: {x: 3}}",
        "f.yaml:1:29: the integer 3\n"
        "  expected: a domain such as real or (0, 1)\n"
        '  fix:      quote an interval, as in "(0, 1)": a comma ends a bare text',
    ),
    (
        "c: {formula: x, inputs: {x: {shape: [2, 2], kind: symmetric, domain: positive}}}",
        "f.yaml:1:62: a domain beside a kind\n"
        "  expected: either a kind, or a domain for every entry\n"
        "  fix:      remove one of them",
    ),
    (
        "c: {formula: x*k, inputs: {x: real}, constants: {k: {a: 1}}}",
        "f.yaml:1:53: a map\n"
        "  expected: a number, a boolean, or a list of them\n"
        "  fix:      write a number",
    ),
    (
        "c: {formula: x, inputs: {x: real}, tags: [cpu, slow, slow]}",
        "f.yaml:1:43: the tag 'cpu', which is a marker already\n"
        "  expected: a word of the case's own\n"
        "  fix:      rename the tag\n"
        "f.yaml:1:54: the tag 'slow' again\n"
        "  expected: each tag once\n"
        "  fix:      remove it",
    ),
    (
        "c: {formula: x, inputs: {x: real}, dtypes: [float64, float64]}",
        "f.yaml:1:54: the dtype float64 again\n  expected: each dtype once\n  fix:      remove it",
    ),
    (
        "c: {formula: x, inputs: {x: real}, dtypes: []}",
        "f.yaml:1:36: no dtypes\n  expected: at least one\n  fix:      add one or remove the key",
    ),
    (
        "c: {formula: x, inputs: {x: real}, points: [{at: {x: 1}, dtypes: []}]}",
        "f.yaml:1:58: no dtypes\n  expected: at least one\n  fix:      add one or remove the key",
    ),
    (
        "c: {formula: x, inputs: {x: real}, points: [{at: {x: 1}, dtypes: [float32, float32]}]}",
        "f.yaml:1:76: the dtype float32 again\n  expected: each dtype once\n  fix:      remove it",
    ),
    (
        "c: {formula: x, inputs: {x: real}, source: []}",
        "f.yaml:1:36: no source\n  expected: at least one\n  fix:      add one or remove the key",
    ),
    (
        "c: {formula: ['besselj(2, x)', x, 'besseli(-1, j)'], inputs: {x: real},"
        " let: {j: 'besselj(1, x)'}}",
        "f.yaml:1:24: besselj of order 2, which PyTorch does not have\n"
        "  expected: order 0 or 1, where the formula's own translation is tried\n"
        "  fix:      name the code on trial under 'torch' or 'function'\n"
        "f.yaml:1:44: besseli of order -1, which PyTorch does not have\n"
        "  expected: order 0 or 1, where the formula's own translation is tried\n"
        "  fix:      name the code on trial under 'torch' or 'function'",
    ),
    (
        "c: {formula: 'besselj(n, x)', inputs: {x: real}, sweep: {n: [0, 1, 2]}}",
        "f.yaml:1:23: besselj of order 2, which PyTorch does not have (in the variant n=2)\n"
        "  expected: order 0 or 1, where the formula's own translation is tried\n"
        "  fix:      name the code on trial under 'torch' or 'function'",
    ),
    (
        "c: {formula: m*x, inputs: {x: real}, sweep: {m: [tanh]}}",
        "f.yaml:1:14: 'tanh' (in the variant m=tanh)\n"
        "  expected: a number\n"
        "  fix:      leave it out",
    ),
    (
        "c: {formula: x*m, inputs: {x: real}, sweep: {n: [1, 2]}}",
        "f.yaml:1:16: unknown name 'm' (in the variant n=1)\n"
        "  expected: one of e, inf, n, pi, x\n"
        "  fix:      define 'm' or correct it",
    ),
    (
        "c: {formula: x, inputs: {x: {shape: [0, 3]}}, points: [{at: {x: []}}]}",
        "f.yaml:1:62: a value of shape [0]\n"
        "  expected: one of shape [0, 3]\n"
        '  fix:      write "zeros([0, 3])"',
    ),
    (
        "c: {formula: x, inputs: {x: real}, sweep: {d: [[1]]}}",
        "f.yaml:1:48: a list\n"
        "  expected: a number, a boolean, a text or null\n"
        "  fix:      write one value",
    ),
    (
        "c: {formula: x, inputs: {x: real}, without: {forward: 3}}",
        "f.yaml:1:55: the integer 3\n  expected: a text\n  fix:      quote it",
    ),
    (
        "c: {formula: x, inputs: {x: real}, source: 3}",
        "f.yaml:1:44: the integer 3\n  expected: a text\n  fix:      quote it",
    ),
    (
        "c: {formula: x, inputs: {x: real}, source: [a, {b: c}]}",
        "f.yaml:1:48: a map\n  expected: a text\n  fix:      write a text",
    ),
    (
        "c: {formula: x, inputs: {x: real}, torch: x.exp}",
        "f.yaml:1:43: the attribute 'exp'\n"
        "  expected: one of H, T, dtype, imag, mH, mT, ndim, real, shape\n"
        "  fix:      write .exp() to call the method",
    ),
    (
        "c: {formula: x, inputs: {x: real}, where: true}",
        "f.yaml:1:43: the boolean true\n"
        "  expected: an expression\n"
        "  fix:      write 1 or 0, or a comparison",
    ),
    (
        "c: {formula: x*d, inputs: {x: real}, where: x > d, sweep: {d: [1, "
        "2]}, points: [{at: {x: 1.5}}]}",
        "f.yaml:1:82: a point where 'where' does not hold (in the variant d=2)\n"
        "  expected: a point that, in float64, meets every condition of 'where'\n"
        "  fix:      move the point",
    ),
    (
        "c: {formula: '[x, x][d]', inputs: {x: real}, sweep: {d: [0, 2, 3]}}",
        "f.yaml:1:15: the index [2] of an array of shape [2] (in the variant d=2)\n"
        "  expected: an index inside the array\n"
        "  fix:      correct the index or the shape\n"
        "f.yaml:1:15: the index [3] of an array of shape [2] (in the variant d=3)\n"
        "  expected: an index inside the array\n"
        "  fix:      correct the index or the shape",
    ),
    (
        "c: {constant: {k: 2}, formula: x*k, inputs: {x: real}}",
        "f.yaml:1:5: the unknown key 'constant'\n"
        "  expected: one of formula, inputs, summary, let, constants, sweep, "
        "torch, function, call, parameters, where, points, order, dtypes, accuracy, "
        "without, requires, "
        "tags, source\n"
        "  fix:      write constants",
    ),
]


@pytest.mark.parametrize(("text", "message"), MESSAGES)
def test_a_mistake_is_named_with_its_place_and_its_fix(text, message):
    with pytest.raises(CatalogError) as caught:
        load_text(text + "\n", "f.yaml")
    assert str(caught.value) == message


def test_a_sweep_of_too_many_variants_is_refused():
    text = f"c: {{formula: x*d, inputs: {{x: real}}, sweep: {{d: {list(range(300))}}}}}"
    with pytest.raises(CatalogError) as caught:
        load_text(text, "f.yaml")
    assert str(caught.value) == (
        "f.yaml:1:38: a sweep of 300 variants\n"
        "  expected: at most 256\n"
        "  fix:      leave values out, or split the case"
    )


def test_an_unknown_function_is_answered_with_the_nearest_one():
    with pytest.raises(CatalogError) as caught:
        load_text("c: {formula: sine(x), inputs: {x: real}}", "f.yaml")
    (problem,) = caught.value.problems
    assert str(problem.where) == "f.yaml:1:14"
    assert (problem.found, problem.fix) == ("unknown function 'sine'", "write sin(x)")


def test_all_problems_of_all_cases_come_at_once_in_the_order_of_the_file():
    text = (
        "a: {formula: x^2, inputs: {x: real}}\n"
        "b: {formula: x, inputs: {x: real}, sumary: s, points: [{at: {x: y}}, {att: 1}]}\n"
        "c: {formula: [x + p, x], inputs: {x: real, y: real}, where: [x > q]}\n"
        "d: {formula: x, inputs: {x: real}, order: 4, dtypes: [float23], torch: torch.sine(x)}\n"
    )
    with pytest.raises(CatalogError) as caught:
        load_text(text, "f.yaml")
    assert [(str(problem.where), problem.found) for problem in caught.value.problems] == [
        ("f.yaml:1:14", "'^'"),
        ("f.yaml:2:36", "the unknown key 'sumary'"),
        ("f.yaml:2:65", "unknown name 'y'"),
        ("f.yaml:2:70", "no 'at'"),
        ("f.yaml:2:71", "the unknown key 'att'"),
        ("f.yaml:3:19", "unknown name 'p'"),
        ("f.yaml:3:66", "unknown name 'q'"),
        ("f.yaml:4:43", "the integer 4"),
        ("f.yaml:4:55", "the unknown dtype 'float23'"),
        ("f.yaml:4:72", "'torch.sine', which the torch language does not allow"),
    ]


def test_no_message_shows_the_jargon_of_a_library():
    text = "c: {formula: [[[1]]], inputs: 3, points: {}, accuracy: [], dtypes: {}, let: []}"
    with pytest.raises(CatalogError) as caught:
        load_text(text, "f.yaml")
    shown = str(caught.value).lower()
    assert len(caught.value.problems) == 6
    assert not [word for word in ("pydantic", "yaml.", "_type", "valid ") if word in shown]


def messages(text):
    with pytest.raises(CatalogError) as caught:
        load_text(text, "f.yaml")
    return str(caught.value)


def test_all_unknown_names_of_an_expression_are_reported_at_once():
    assert messages('c: {formula: "Max(x,0)+Abs(x)+ln(x)", inputs: {x: positive}}') == (
        "f.yaml:1:15: unknown function 'Max'\n"
        "  expected: a function of the formula language\n"
        "  fix:      write max(x, y)\n"
        "f.yaml:1:24: unknown function 'Abs'\n"
        "  expected: a function of the formula language\n"
        "  fix:      write abs(x)\n"
        "f.yaml:1:31: unknown function 'ln'\n"
        "  expected: a function of the formula language\n"
        "  fix:      write log(x)"
    )


def test_unknown_names_inside_a_loop_and_a_method_are_found_too():
    text = 'c: {formula: "sum([u*x[i] for i in range(k)]) + w.exp()", inputs: {x: {shape: [2]}}}'
    assert [line for line in messages(text).split("\n") if line.startswith("f.yaml")] == [
        "f.yaml:1:20: unknown name 'u'",
        "f.yaml:1:42: unknown name 'k'",
        "f.yaml:1:49: 'w.exp', a function of a library",
    ]


def test_an_intermediate_result_that_is_defined_later_is_called_that():
    text = "c: {formula: a, let: {a: b+1, b: x**2}, inputs: {x: real}}"
    assert messages(text) == (
        "f.yaml:1:26: the name 'b', which is defined later\n"
        "  expected: a name defined above\n"
        "  fix:      put 'b' above it in 'let'"
    )


def test_an_intermediate_result_is_not_defined_by_itself():
    text = "c: {formula: a, let: {a: a+1}, inputs: {x: real}}"
    assert messages(text).startswith("f.yaml:1:26: the name 'a' in its own definition\n")


COMPREHENSION = (
    "{}: a comprehension that is not quoted\n"
    "  expected: a text; to YAML a bare '[' begins a list of its own\n"
    '  fix:      quote all of it, as in "[x[i]**2 for i in range(3)]"'
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "c: {formula: x, inputs: {x: [-1, 1]}}",
            "f.yaml:1:29: a list\n"
            "  expected: a domain, or a map with domain, shape and kind\n"
            '  fix:      write the interval in quotes, as in x: "[-1, 1]", or "(-1, 1)" '
            "without its ends",
        ),
        (
            "c: {formula: x, inputs: {x: [1, 2, 3]}}",
            "f.yaml:1:29: a list\n"
            "  expected: a domain, or a map with domain, shape and kind\n"
            "  fix:      write it like x: real",
        ),
        (
            "c:\n  formula: [x[i]**2 for i in range(3)]\n  inputs: {x: {shape: [3]}}",
            COMPREHENSION.format("f.yaml:2:12"),
        ),
        (
            "c:\n  inputs: {x: {shape: [3]}}\n  formula: [x[i] for i in range(3)]\n",
            COMPREHENSION.format("f.yaml:3:12"),
        ),
        (
            "c:\n  formula:x**2\n  inputs: {x: real}",
            "f.yaml:2:10: 'formula:x**2', a ':' without a blank after it\n"
            "  expected: ': ' between a key and its value\n"
            "  fix:      write formula: x**2",
        ),
        (
            "c:\n  inputs: {x: real}\n  formula:x**2\n",
            "f.yaml:3:10: 'formula:x**2', a ':' without a blank after it\n"
            "  expected: ': ' between a key and its value\n"
            "  fix:      write formula: x**2",
        ),
        (
            "c: {inputs: {x: real}, formula: x, order:1}",
            "f.yaml:1:36: 'order:1', a ':' without a blank after it\n"
            "  expected: ': ' between a key and its value\n"
            "  fix:      write order: 1",
        ),
    ],
)
def test_what_yaml_reads_otherwise_than_it_was_meant_is_explained(text, message):
    assert messages(text) == message
