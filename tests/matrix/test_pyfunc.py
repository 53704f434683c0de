"""pyfunc models: how they are written decides what they get, and batches of any size answer alike.

`test_promotion` asks the models of all kinds in the same way, as served from a registry.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from minieval.contract.exits import CannotJudge
from minieval.data.schema import Kind
from minieval.runner.sandbox import Isolation, show_files
from tests.matrix.cases import check
from tests.matrix.names import ANSWERED, UNFIT, heavy_but
from tests.matrix.names import KINDS as NAMES
from tests.minieval.runner.tables import column, predict_in_batches, predictor, table

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
FIXTURES = Path(__file__).parents[1] / "fixtures" / "mlflow_2_22"


def test_the_names_are_those_of_the_models() -> None:
    from tests.matrix import kinds

    assert tuple(kinds.KINDS) == NAMES
    assert tuple(kinds.UNFIT) == UNFIT


@pytest.mark.parametrize("name", [name for name in NAMES if name in ANSWERED])
def test_a_kind_of_model_gets_what_it_was_written_for(name: str, tmp_path: Path) -> None:
    from tests.matrix.kinds import KINDS

    check(KINDS[name](tmp_path / "bundle"), tmp_path / "bundle")


@pytest.mark.parametrize(
    "name",
    heavy_but(("every type of a signature", "types of Parquet", "a hint of pydantic models"), {"types of Parquet"}),
)
def test_it_gets_the_same_where_its_environment_has_no_pyarrow(name: str, tmp_path: Path) -> None:
    from tests.matrix.kinds import KINDS

    check(KINDS[name](tmp_path / "bundle"), tmp_path / "bundle", arrow=False)


@pytest.mark.parametrize("name", heavy_but(("code", "loader"), {"code"}))
def test_what_mlflow_2_22_logged_answers(name: str) -> None:
    from tests.matrix.kinds import PROMPTS, prompts

    columns, features = prompts()
    words = {}
    with predictor(FIXTURES / name / "first") as found:
        for size in (1, 3, 7):
            words[size] = predict_in_batches(found, columns, features, size)
    assert words[1] == words[3] == words[7]
    assert len(set(words[1])) == len(PROMPTS)


@pytest.mark.parametrize("name", heavy_but(UNFIT, {"a fraction as an integer"}))
def test_features_that_do_not_fit_are_one_sentence(name: str, tmp_path: Path) -> None:
    from tests.matrix import kinds

    signature, columns, cells, words = kinds.UNFIT[name]
    kinds.save(tmp_path / "bundle", kinds.Cut(), signature=signature)
    with predictor(tmp_path / "bundle") as found, pytest.raises(CannotJudge, match=words):
        predict_in_batches(found, columns, table(columns, cells), 10)


@pytest.mark.heavy
def test_params_that_the_signature_does_not_name_are_refused(tmp_path: Path) -> None:
    from tests.matrix.kinds import save_with_params

    case = save_with_params(tmp_path / "bundle")
    for params, words in (({"lenght": 2}, "the param 'lenght' .it takes 'length'"), ({"length": "x"}, "length.*x")):
        with predictor(tmp_path / "bundle") as found, pytest.raises(CannotJudge, match=words):
            predict_in_batches(found, case.columns, case.features, 10, params)


@pytest.mark.parametrize("isolation", heavy_but((Isolation.BWRAP, Isolation.PROCESS), {Isolation.BWRAP}))
def test_files_of_a_batch_are_shown_read_only_and_removed(isolation: Isolation, tmp_path: Path) -> None:
    from tests.matrix.kinds import Read, save

    save(tmp_path / "bundle", Read())
    shown, originals = tmp_path / "shown", tmp_path / "eval"
    shown.mkdir()
    originals.mkdir()
    for index in range(3):
        (originals / f"cat-{index}.txt").write_text(f"picture {index}")
    columns = [column("image", Kind.TEXT)]
    with predictor(tmp_path / "bundle", isolation=isolation, files=shown) as found:
        found.configure(columns, {}, ["image"])
        for index in range(3):
            name = f"{index:08}.txt"
            with show_files(shown, [(name, originals / f"cat-{index}.txt")]):
                answers = found.predict(table(columns, {"image": [name]}), first=index + 1)
            assert answers == [[f"picture {index}", [name]]]
    assert list(shown.iterdir()) == []
    assert sorted(path.name for path in originals.iterdir()) == ["cat-0.txt", "cat-1.txt", "cat-2.txt"]
    (originals / "link").symlink_to("/etc/passwd")
    with pytest.raises(CannotJudge, match="link: cannot be shown"), show_files(shown, [("x", originals / "link")]):
        pass
    assert list(shown.iterdir()) == []
