"""Which devices a run takes, and what is set for them, on a machine that may have none."""

import os
import re
import sys
from types import SimpleNamespace

import pytest
import torch
from default_witnesses import asked

from gradcheck import devices
from gradcheck.errors import UsageError
from gradcheck.plugin import session
from gradcheck.plugin.scheduler import MOST_PROCESSES, DeviceScheduling

BUILD = "cuda: Optional[str] = {cuda}\nhip: Optional[str] = None\nxpu: Optional[str] = None\n"


@pytest.fixture
def linux(monkeypatch, tmp_path):
    """A machine whose build of PyTorch and whose drivers the test decides."""

    def arrange(*, cuda, driver):
        (tmp_path / "version.py").write_text(BUILD.format(cuda=cuda))
        (tmp_path / "nvidiactl").touch()
        found = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
        monkeypatch.setattr(devices, "find_spec", lambda name: found)
        monkeypatch.setattr(devices.sys, "platform", "linux")
        monkeypatch.setattr(devices.metadata, "entry_points", lambda group: ())
        present = str(tmp_path / ("nvidiactl" if driver else "nothing"))
        monkeypatch.setattr(devices, "_DRIVERS", {"cuda": (present,), "hip": (), "xpu": ()})

    return arrange


@pytest.mark.parametrize(
    ("cuda", "driver", "expected"),
    [("'13.0'", True, True), ("'13.0'", False, False), ("None", True, False)],
)
def test_an_accelerator_needs_a_build_and_a_driver(linux, cuda, driver, expected):
    linux(cuda=cuda, driver=driver)
    assert devices.may_have_accelerator() is expected


def test_a_backend_out_of_tree_may_be_there(linux, monkeypatch):
    linux(cuda="None", driver=False)
    monkeypatch.setattr(devices.metadata, "entry_points", lambda group: ("a backend",))
    assert devices.may_have_accelerator() is True


def test_auto_takes_the_cpu_and_what_torch_reports(monkeypatch):
    monkeypatch.setattr(devices, "may_have_accelerator", lambda: True)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    assert devices.choose("auto") == ("cpu", "cuda")


def test_auto_takes_the_cpu_alone_where_torch_reports_nothing(monkeypatch):
    monkeypatch.setattr(devices, "may_have_accelerator", lambda: True)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert devices.choose("auto") == ("cpu",)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(devices, "may_have_accelerator", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(devices, "there", lambda: ("cpu", "cuda"))


@pytest.mark.usefixtures("two_gpus")
def test_devices_are_taken_by_name_in_order_and_once():
    assert devices.choose("cuda:1, cpu,cuda:1") == ("cuda:1", "cpu")


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("name", ["cuda:2", "cuda:-1", "cpu:0", "CUDA", "toaster", "meta", "cuda:"])
def test_a_device_that_is_not_there_is_refused(name):
    message = (
        f"--device {name}: no such device here\n"
        "  expected: one or more of cpu, cuda, or auto\n"
        "  fix:      write auto to run on what is there"
    )
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        devices.choose(name)


def test_the_processor_has_a_name():
    assert devices.name_of("cpu")


def test_cuda_is_made_repeatable_and_the_environment_given_back(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    undo = session.make_repeatable(["cpu", "cuda:1"])
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    undo()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    session.leave_one_thread()()
    assert os.environ["OMP_NUM_THREADS"] == "3"


@pytest.fixture
def torch_restored():
    yield
    torch.use_deterministic_algorithms(mode=False)
    torch.backends.cudnn.allow_tf32 = True


@pytest.mark.usefixtures("torch_restored")
def test_a_gpu_computes_without_shortcuts():
    torch.backends.cuda.matmul.allow_tf32 = True
    session.prepare_torch(["cuda"], worker=False)
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()


@pytest.mark.parametrize(
    ("item", "unit"),
    [
        ("cases/a.yaml::f[reverse-cuda-float64]", "cuda, part 6"),
        ("cases/a.yaml::f[d=1-0-reverse-cuda:1-float32]", "cuda:1, part 6"),
        ("cases/a.yaml::f[d=1-0-reverse-cpu-float32]", "cases/a.yaml::f"),
        ("tests/test_a.py::test_b[1-2-3]", "tests/test_a.py::test_b[1-2-3]"),
        ("tests/test_a.py::test_b", "tests/test_a.py::test_b"),
    ],
)
def test_a_case_is_one_unit_of_work_on_the_cpu_and_in_a_part_of_a_gpus_checks(item, unit):
    scheduling = object.__new__(DeviceScheduling)
    scheduling.accelerators = frozenset({"cuda", "cuda:1"})
    assert scheduling._split_scope(item) == unit


PRETEND = """
import os
from gradcheck import devices
devices.there = lambda: ("cpu", "cuda")
devices.name_of = lambda device: f"a {device}"
def pytest_runtest_logstart(nodeid):
    with open(f"ran-{os.environ.get('PYTEST_XDIST_WORKER')}.txt", "a") as file:
        print(nodeid, file=file)
"""


def test_few_processes_share_a_gpu_however_many_workers_there_are():
    scheduling = object.__new__(DeviceScheduling)
    scheduling.accelerators = frozenset({"cuda"})
    cases = [f"cases/a.yaml::case_{number}[reverse-cuda-float64]" for number in range(1000)]
    assert len({scheduling._split_scope(case) for case in cases}) == MOST_PROCESSES


def test_the_checks_of_a_case_on_a_gpu_are_run_by_one_worker(project):
    project.cases("agrees_first", "agrees_second", "agrees_third")
    project.add_to_conftest(PRETEND)
    result = project.run_alone("-n", "2", "--dtype", "float64")
    result.assert_outcomes(passed=6 * len(asked()))
    ran = [(project.path / f"ran-{worker}.txt").read_text() for worker in ("gw0", "gw1")]
    for case in ("agrees_first", "agrees_second", "agrees_third"):
        assert sorted(len(re.findall(rf"{case}\[.*-cuda-", text)) for text in ran) == [
            0,
            len(asked()),
        ]
    assert sum(text.count("-cpu-") for text in ran) == 3 * len(asked())


@pytest.fixture
def xla(monkeypatch):
    """What is called of PyTorch/XLA, with one device; the seeds of its random numbers."""
    seeds = {"xla:0": 7}
    runtime = SimpleNamespace(addressable_device_count=lambda: 1, device_type=lambda: "CPU")
    model = SimpleNamespace(
        get_rng_state=seeds.__getitem__,
        set_rng_state=lambda seed, device: seeds.update({device: seed}),
    )
    for name, module in (("", None), (".runtime", runtime), (".core.xla_model", model)):
        monkeypatch.setitem(sys.modules, f"torch_xla{name}", module or SimpleNamespace())
    yield seeds
    vars(torch).pop("xla", None)
    sys.modules.pop("torch.xla", None)


def test_xla_is_there_where_its_package_is_and_its_random_numbers_can_be_forked(xla):
    assert devices.choose("xla") == ("xla",)
    assert torch.xla.get_device_name("xla") == "XLA on its CPU runtime"
    with torch.random.fork_rng(devices=[0], device_type="xla"):
        xla["xla:0"] = 8
    assert xla == {"xla:0": 7}


@pytest.mark.usefixtures("xla")
def test_a_second_device_of_xla_is_refused_where_there_is_one():
    with pytest.raises(UsageError, match="--device xla:1: no such device here"):
        devices.choose("xla:1")


def test_xla_is_refused_where_its_package_is_not_installed():
    with pytest.raises(UsageError, match="--device xla: no such device here"):
        devices.choose("xla")
