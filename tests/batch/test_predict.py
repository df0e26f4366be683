"""Batch inference: any file, taken apart anyhow, gives what the whole gives."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression

import nbtrack
from nbtrack.batch.opening import open_source
from nbtrack.batch.reading import Csv, JsonLines
from nbtrack.errors import InvalidParameterError, NotFoundError, UntrustedModelError

DATA = pd.DataFrame(np.random.default_rng(0).normal(size=(500, 3)), columns=list("abc"))


class Echo(BaseEstimator):
    """What it is given comes back: columns and the types of their values."""

    def __init__(self, form: str = "frame") -> None:
        self.form = form

    def fit(self, X: Any, y: Any = None) -> Echo:
        return self

    def predict(self, X: Any) -> Any:
        forms: dict[str, Any] = {
            "frame": X.copy,
            "array": X.to_numpy,
            "first": lambda: X.iloc[:, 0],
            "list": X.iloc[:, 0].tolist,
            "dict": lambda: {"p": X.iloc[:, 0].to_numpy(), "q": X.iloc[:, 1].tolist()},
            "sum": lambda: float(X.to_numpy().sum()),
            "few": lambda: X.iloc[:1],
            "positive": lambda: [1 / (v > 0) for v in X.iloc[:, 0].tolist()],
            "pair": lambda: [1 / (len(X) < 50)] * len(X),
        }
        return forms[self.form]()


@pytest.fixture
def model(workdir: Path) -> str:
    nbtrack.set_tracking_uri(str(workdir / "nbtrack.db"))
    nbtrack.sklearn.save_model(LinearRegression().fit(DATA, DATA.a * 2 + DATA.b), workdir / "model")
    return "model"


def echo(form: str = "frame", **given: Any) -> str:
    path = f"echo-{form}-{len(given)}"
    if not Path(path).exists():
        nbtrack.sklearn.save_model(Echo(form), path, **given)
    return path


def write(path: str, data: pd.DataFrame = DATA) -> str:
    match path.rpartition(".")[2]:
        case "csv":
            data.to_csv(path, index=False)
        case "parquet":
            data.to_parquet(path, index=False)
        case "jsonl":
            data.to_json(path, orient="records", lines=True, double_precision=15)
        case _:
            content = {"dataframe_split": json.loads(data.to_json(orient="split", index=False))}
            Path(path).write_text(json.dumps(content))
    return path


def read(path: str) -> list[Any]:
    match path.rpartition(".")[2]:
        case "csv":
            return pd.read_csv(path)["prediction"].tolist()
        case "parquet":
            return pd.read_parquet(path)["prediction"].tolist()
        case "jsonl":
            return [json.loads(line) for line in Path(path).read_text().splitlines()]
    return json.loads(Path(path).read_text())["predictions"]


@pytest.mark.parametrize("source", ["csv", "parquet", "jsonl", "json"])
@pytest.mark.parametrize("chunk_rows", [None, 1, 7, 500])
def test_each_file_gives_what_the_data_gives(
    model: str, source: str, chunk_rows: int | None
) -> None:
    expected = nbtrack.load_model(model).predict(DATA)
    path = write(f"in.{source}", DATA if chunk_rows != 1 else DATA[:20])
    for target in ("csv", "parquet", "jsonl", "json"):
        out = f"out.{target}"
        result = nbtrack.models.predict(
            model, input_path=path, output_path=out, chunk_rows=chunk_rows
        )
        assert result is None
        assert read(out) == pytest.approx(expected[: len(read(out))].tolist(), rel=1e-8)
        assert len(read(out)) == (20 if chunk_rows == 1 else 500)
    assert not list(Path().glob(".*"))


@pytest.mark.parametrize("form", ["frame", "array", "first", "list", "dict"])
def test_all_forms_of_predictions(model: str, form: str) -> None:
    whole = nbtrack.models.predict(echo(form), DATA)
    parts = nbtrack.models.predict(echo(form), DATA, chunk_rows=30)
    assert type(whole) is type(parts)
    assert json.dumps(plain(whole)) == json.dumps(plain(parts))
    for target in ("csv", "parquet", "jsonl", "json"):
        for rows in (None, 30):
            nbtrack.models.predict(
                echo(form), DATA, output_path=f"{rows}.{target}", chunk_rows=rows
            )
        if target == "parquet":  # each part is a row group
            a, b = (pd.read_parquet(f"{rows}.{target}") for rows in (None, 30))
            pd.testing.assert_frame_equal(a, b)
        else:
            assert Path(f"None.{target}").read_bytes() == Path(f"30.{target}").read_bytes()
    names = {"frame": ["a", "b", "c"], "dict": ["p", "q"], "first": ["a"], "list": ["prediction"]}
    wanted = names.get(form, ["prediction_0", "prediction_1", "prediction_2"])
    assert pd.read_csv("30.csv").columns.tolist() == wanted


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: list(map(float, column)) for name, column in value.items()}
    return value if isinstance(value, list) else np.asarray(value).tolist()


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    "content",
    [
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]}},
        {"dataframe_records": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]},
        {"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]},
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    ],
)
def test_documents_that_mlflow_takes(model: str, content: Any, rows: int) -> None:
    for indent in (None, 1):
        Path("in.json").write_text(json.dumps(content, indent=indent))
        found = nbtrack.models.predict(echo(), input_path="in.json", chunk_rows=rows)
        assert found.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}


def test_tensors_and_lines_that_look_like_documents(model: str) -> None:
    Path("t.json").write_text('{"inputs": [[1, 2, 3], [4, 5, 6]]}')
    with pytest.warns(UserWarning, match="feature names"):
        assert nbtrack.models.predict(model, input_path="t.json") == pytest.approx([4, 13])
    Path("lines.json").write_text('{"inputs": 1}\n\n{"inputs": 2}\n')
    found = nbtrack.models.predict(echo(), input_path="lines.json")
    assert found.to_dict("list") == {"inputs": [1, 2]}


@pytest.mark.mlflow
def test_mlflow_says_the_same(model: str, mlflow_python: str) -> None:
    data = DATA[:50].assign(c=1)
    write("in.csv", data)
    write("in.json", data)
    script = """
import sys, mlflow
for kind in ("csv", "json"):
    mlflow.models.predict("model", None, f"in.{kind}", kind, f"{kind}.json", env_manager="local")
"""
    subprocess.run([mlflow_python, "-W", "ignore", "-c", script], check=True)
    for kind in ("csv", "json"):
        nbtrack.models.predict("model", None, f"in.{kind}", kind, "ours.json", chunk_rows=7)
        assert read("ours.json") == pytest.approx(read(f"{kind}.json"), rel=1e-12)


CELLS = st.sampled_from(["1", "2", "-3", "1.5", "", "NA", "x", "007", "True", "False", "1e3"])


@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12), st.integers(1, 5))
def test_values_are_those_of_the_whole_csv(
    tmp_path: Path, rows: list[tuple[str, str]], chunk_rows: int
) -> None:
    text = "p,q\n" + "".join(f"{p},{q}\n" for p, q in rows if p or q)
    path = tmp_path / "in.csv"
    path.write_text(text)
    whole = pd.read_csv(io.StringIO(text), low_memory=False)
    parts = [chunk.data for chunk in Csv(path, {}, chunk_rows).chunks(lambda *_: None)]
    found = pd.concat(parts, ignore_index=True) if parts else whole[:0]
    for name in whole.columns:
        assert [same(v) for v in found[name]] == [same(v) for v in whole[name]], (name, text)
        if whole[name].dtype.kind in "if" and set(whole[name]) - {True, False}:
            assert {part[name].dtype for part in parts} == {whole[name].dtype}


def test_whole_numbers_of_64_bits(workdir: Path) -> None:
    big = 2**64 - 1
    Path("in.csv").write_text(f"p,q,r\n1,1,1\n{big},2.5,9223372036854775807\n")
    parts = [chunk.data for chunk in Csv(Path("in.csv"), {}, 1).chunks(lambda *_: None)]
    assert [part.p.tolist() for part in parts] == [[1], [big]]
    assert [part.q.tolist() for part in parts] == [[1.0], [2.5]]
    assert [part.r.tolist() for part in parts] == [[1], [2**63 - 1]]


def same(value: Any) -> Any:
    return None if pd.isna(value) else (type(value) is str, value)


VALUES = st.sampled_from([1, 2.5, "x", None, True, [1], 10**18])


@settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.dictionaries(st.sampled_from("pqr"), VALUES, min_size=1), min_size=1, max_size=9),
    st.integers(1, 4),
)
def test_values_are_those_of_all_lines(
    tmp_path: Path, rows: list[dict[str, Any]], chunk_rows: int
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("\n\n".join(map(json.dumps, rows)))
    whole = pd.DataFrame(rows)
    parts = [chunk.data for chunk in JsonLines(path, {}, chunk_rows).chunks(lambda *_: None)]
    assert all(part.columns.tolist() == whole.columns.tolist() for part in parts)
    found = pd.concat(parts, ignore_index=True)
    for name in whole.columns:
        for a, b in zip(found[name], whole[name], strict=True):
            assert a == b or (np.ndim(a) == 0 and pd.isna(a) and pd.isna(b))


def test_a_signature_says_the_types(model: str) -> None:
    columns = {"code": "string", "n": "double", "i": "integer", "f": "float", "on": "datetime"}
    Path("in.csv").write_text(
        "f,extra,n,code,i,on\n1,9,2,007,3,2024-01-02\n1,9,2,12,3,2024-01-03\n"
    )
    for chunk in open_source(Path("in.csv"), "csv", columns, 1).chunks(lambda *_: None):
        assert chunk.data.columns.tolist() == list(columns)
        kinds = {n: str(chunk.data[n].dtype) for n in ("n", "i", "f")}
        assert kinds == {"n": "float64", "i": "int32", "f": "float32"}
        assert chunk.data.on.dtype.kind == "M"
        assert chunk.data.code.tolist() in (["007"], ["12"])


# --- what goes wrong ------------------------------------------------------------------------------


def fails(message: str, *args: Any, kind: type[Exception] = InvalidParameterError, **given: Any):
    Path("out.json").write_text("before")
    with pytest.raises(kind, match=message) as caught:
        nbtrack.models.predict(*args, output_path="out.json", **given)
    assert Path("out.json").read_text() == "before"
    assert not list(Path().glob(".*"))
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("chunk_rows", [None, 1, 7, 100])
def test_the_row_is_said_that_cannot_be_predicted(model: str, chunk_rows: int | None) -> None:
    data = DATA.abs().copy()
    data.iloc[77, 0] = data.iloc[99, 0] = -1
    for source in ("csv", "parquet", "jsonl"):
        path = write(f"in.{source}", data)
        fails("row 78: division by zero", echo("positive"), None, path, chunk_rows=chunk_rows)
    fails("row 78", echo("positive"), data, chunk_rows=chunk_rows)


def test_rows_that_fail_together(model: str) -> None:
    fails("rows 1 to 60 together", echo("pair"), DATA[:60])
    assert len(nbtrack.models.predict(echo("pair"), DATA[:60], chunk_rows=20)) == 60


def test_not_one_prediction_for_each_row(model: str) -> None:
    fails("gave no predictions for the 500 rows", echo("sum"), DATA)
    fails("gave 1 predictions for the 10 rows from row 1 on", echo("few"), DATA, chunk_rows=10)


def test_rows_that_cannot_be_read(model: str) -> None:
    Path("wide.csv").write_text("a,b,c\n1,2,3\n1,2,3,4\n")
    fails("Expected 3 fields in line 3, saw 4", model, None, "wide.csv")
    Path("bytes.csv").write_bytes(b"a,b,c\n1,2,\xff\n")
    fails("cannot be read as CSV", model, None, "bytes.csv")
    Path("no.parquet").write_bytes(b"PAR1 no")
    fails("cannot be read as Parquet", model, None, "no.parquet")
    Path("cut.jsonl").write_text('{"a": 1}\n\n{"a": \n')
    fails("Line 3 of cut.jsonl is no JSON", model, None, "cut.jsonl")
    Path("list.jsonl").write_text('{"a": 1}\n[1]\n')
    fails("Line 2 of list.jsonl is a list", model, None, "list.jsonl")
    Path("deep.json").write_text("[" * 100_000)
    fails("is no JSON", model, None, "deep.json")
    Path("other.json").write_text('{"x":\n 1}')
    fails("no data in a form that is known", model, None, "other.json")
    Path("odd.json").write_text('{"dataframe_split": 7}')
    fails("'dataframe_split' in odd.json cannot be read", model, None, "odd.json")


def test_a_text_where_the_signature_wants_a_number(model: str) -> None:
    Path("in.csv").write_text("n\n" + "1\n" * 10 + "abc\n")
    with pytest.raises(
        InvalidParameterError, match=r"Row 11 of in\.csv has 'abc' in the column 'n'"
    ):
        list(open_source(Path("in.csv"), "csv", {"n": "double"}, 4).chunks(lambda *_: None))


def test_a_document_that_is_too_long(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbtrack.batch.opening.MAX_DOCUMENT_BYTES", 2**20)
    Path("in.json").write_text("[" + "[1]," * 2**20)
    fails("one JSON document of 4 MB", model, None, "in.json")


def test_arguments_that_cannot_be(model: str) -> None:
    path = write("in.csv")
    fails("either input_data or input_path", model)
    fails("either input_data or input_path", model, DATA, path)
    fails("is a text", model, "in.csv")
    fails("no content type 'xml'", model, None, path, "xml")
    fails("chunk_rows is 0", model, None, path, chunk_rows=0)
    fails("no file 'nowhere.csv'", model, None, "nowhere.csv", kind=NotFoundError)
    fails("is no file", model, None, ".")
    fails("MLmodel", "nowhere", None, path, kind=NotFoundError)
    (Path(model) / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    fails("was not loaded", model, None, path, kind=UntrustedModelError)
    assert not Path("hacked").exists()


def test_places_that_cannot_be_written(model: str) -> None:
    Path("folder").mkdir()
    for out in ("folder", "nowhere/out.json", "in.csv/out.json"):
        write("in.csv")
        with pytest.raises(InvalidParameterError, match="cannot be written"):
            nbtrack.models.predict(model, input_path="in.csv", output_path=out)
    assert not list(Path("folder").iterdir())


def test_an_interrupt_leaves_what_was_there(model: str) -> None:
    path = write("in.csv")
    Path("out.csv").write_text("before")
    seen: list[tuple[int, int]] = []

    def interrupt(done: int, total: int) -> None:
        seen.append((done, total))
        if list(Path().glob(".out.csv.*.part")) and len(seen) > 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nbtrack.models.predict(
            model, input_path=path, output_path="out.csv", chunk_rows=10, progress=interrupt
        )
    assert Path("out.csv").read_text() == "before"
    assert not list(Path().glob(".*"))
    assert seen == sorted(seen)
    assert all(done <= total for done, total in seen)


def test_the_file_itself_may_be_the_target(model: str) -> None:
    write("in.csv")
    nbtrack.models.predict(model, input_path="in.csv", output_path="in.csv", chunk_rows=10)
    assert len(read("in.csv")) == 500


def test_links_and_pipes_stay_what_they_are(model: str) -> None:
    write("in.csv", DATA[:5])
    Path("real.json").write_text("")
    Path("link.json").symlink_to("real.json")
    nbtrack.models.predict(model, input_path="in.csv", output_path="link.json")
    assert Path("link.json").is_symlink()
    assert len(read("real.json")) == 5
    nbtrack.models.predict(model, input_path="in.csv", output_path=os.devnull)
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("target", ["csv", "parquet", "jsonl", "json"])
def test_no_rows(model: str, target: str) -> None:
    for source in ("csv", "parquet", "jsonl"):
        nbtrack.models.predict(
            model, input_path=write(f"in.{source}", DATA[:0]), output_path=f"out.{target}"
        )
        assert read(f"out.{target}") == []


def test_numbers_that_json_has_not(model: str) -> None:
    data = pd.DataFrame({"x": [1.0, float("nan"), float("inf")]})
    nbtrack.models.predict(echo("first"), data, output_path="out.json")
    assert json.loads(Path("out.json").read_text()) == {"predictions": [1.0, None, "Infinity"]}


# --- memory ---------------------------------------------------------------------------------------

MEASURE = """
import pathlib, re, sys
import nbtrack

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])

small, large, out = sys.argv[1:]
nbtrack.models.predict("model", input_path=small, output_path=out)
before = peak()
nbtrack.models.predict("model", input_path=large, output_path=out)
print((peak() - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_memory_is_bounded(model: str, source: str) -> None:
    wide = pd.DataFrame(np.random.default_rng(1).normal(size=(40_000, 12)))
    data = pd.concat([DATA.sample(40_000, replace=True, ignore_index=True), wide], axis=1)
    data.columns = [*"abc", *(f"x{place}" for place in range(12))]
    nbtrack.sklearn.save_model(LinearRegression().fit(data[:99], data.a[:99]), "wide")
    small = write(f"small.{source}", data[:30_000])
    if source == "csv":
        text = data.to_csv(index=False, header=False).encode()
        with Path("large.csv").open("wb") as file:
            file.write((",".join(data.columns) + "\n").encode())
            file.writelines([text] * (200 * 2**20 // len(text)))
    else:
        pd.concat([data + n for n in range(48)]).to_parquet("large.parquet", row_group_size=10**9)
    assert Path(f"large.{source}").stat().st_size > 190 * 2**20
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            MEASURE.replace('"model"', '"wide"'),
            small,
            f"large.{source}",
            "o.csv",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) < 100
