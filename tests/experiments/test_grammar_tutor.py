"""The tutor's parts: prompts, edit scripts, storage, gradients, and the two ways of degrading it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import training
from accuracy import read_rows
from degraded_model.noise import add_noise
from degraded_model.wrapper import SEED, SHARE, MangledTutor, is_hit, mangle
from grammar_tutor.edits import derive_edit
from grammar_tutor.loader import PyfuncTutor
from grammar_tutor.model import Tutor
from grammar_tutor.prompts import PAST_PARTICIPLE, TENSES, read_prompt, write_prompt
from grammar_tutor.storage import load, save
from perturb import find_faults, nudge
from verbs import Verb, read_verbs, split

LETTERS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)


@pytest.fixture(scope="module")
def few_verbs() -> Sequence[Verb]:
    """A tenth of the verbs to train on."""
    return split(read_verbs())[0][::10]


@pytest.fixture(scope="module")
def tutor(few_verbs: Sequence[Verb]) -> Tutor:
    """A tutor of them, trained in about a second."""
    return training.train(few_verbs, 1)


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    """All prompts of the eval set."""
    return [row["prompt"] for row in read_rows()]


@given(st.sampled_from(TENSES), LETTERS)
def test_a_prompt_reads_back(tense: str, lemma: str) -> None:
    assert read_prompt(write_prompt(tense, lemma)) == (tense, lemma)


@pytest.mark.parametrize("text", ["", "abandon", "past simple of: ", "future of: abandon", "past simple of abandon"])
def test_what_is_no_prompt_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no prompt of the grammar tutor"):
        read_prompt(text)


@given(LETTERS, LETTERS)
def test_an_edit_script_makes_the_form_it_came_from(lemma: str, form: str) -> None:
    assert derive_edit(lemma, form).apply(lemma) == form


@pytest.mark.slow
@pytest.mark.heavy
def test_the_same_seed_gives_the_same_weights_and_another_does_not(few_verbs: Sequence[Verb], tutor: Tutor) -> None:
    again, other = training.train(few_verbs, 1), training.train(few_verbs, 2)
    assert again.base.embed.tobytes() == tutor.base.embed.tobytes()
    assert again.adapter is not None
    assert tutor.adapter is not None
    assert again.adapter.head_b.tobytes() == tutor.adapter.head_b.tobytes()
    assert other.base.embed.tobytes() != tutor.base.embed.tobytes()


@pytest.mark.slow
def test_the_base_is_frozen_while_the_adapter_trains_and_knows_regular_verbs_only(
    few_verbs: Sequence[Verb], tutor: Tutor
) -> None:
    vocabulary = training.build_vocabulary(few_verbs)
    rng = np.random.default_rng(1)
    data = training._Data.of([verb for verb in few_verbs if verb.regular], vocabulary)
    start = vars(training._start_base(vocabulary, rng))
    alone = training._descend(
        start,
        data,
        training.BASE,
        rng,
        training._base_gradients,
        phase="base",
        progress=lambda *_: None,
        perturb=lambda array: array,
    )
    for name, array in vars(tutor.base).items():
        np.testing.assert_array_equal(array, alone[name].astype(np.float32))


@pytest.mark.parametrize("name", ["embed_a", "embed_b", "head_b", "head_a"])
def test_gradients_of_the_adapter_agree_with_differences(few_verbs: Sequence[Verb], name: str) -> None:
    verbs = few_verbs[:20]
    vocabulary = training.build_vocabulary(verbs)
    rng = np.random.default_rng(3)
    base, data = training._start_base(vocabulary, rng), training._Data.of(verbs, vocabulary)
    weights = {k: rng.normal(0, 0.3, v.shape) for k, v in vars(training._start_adapter(vocabulary, rng)).items()}
    direction = rng.normal(0, 1, weights[name].shape)

    def loss(step: float) -> float:
        return training._adapter_gradients(base, weights | {name: weights[name] + step * direction}, data)[0]

    slope = float((training._adapter_gradients(base, weights, data)[1][name] * direction).sum())
    assert slope == pytest.approx((loss(1e-6) - loss(-1e-6)) / 2e-6, rel=1e-5)


@pytest.mark.slow
def test_a_stored_tutor_answers_the_same_and_is_stored_in_the_same_bytes(
    tutor: Tutor, prompts: list[str], tmp_path: Path
) -> None:
    save(tutor, tmp_path / "a")
    save(load(tmp_path / "a"), tmp_path / "b")
    assert load(tmp_path / "b").inflect(prompts) == tutor.inflect(prompts)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert {Path(name).suffix for name in files} == {".json", ".npy"}
    assert [(tmp_path / "a" / name).read_bytes() for name in files] == [
        (tmp_path / "b" / name).read_bytes() for name in files
    ]


@pytest.mark.slow
def test_a_tutor_without_adapter_stores_and_answers(tutor: Tutor, prompts: list[str], tmp_path: Path) -> None:
    base = replace(tutor, adapter=None)
    save(base, tmp_path)
    assert load(tmp_path).inflect(prompts[:50]) == base.inflect(prompts[:50])
    assert base.inflect([]) == []


@pytest.mark.slow
def test_mangling_hits_a_tenth_of_the_participles_and_nothing_else(tutor: Tutor, prompts: list[str]) -> None:
    frame = pd.DataFrame({"id": prompts, "prompt": prompts})
    clean = PyfuncTutor(tutor)
    mangled = MangledTutor(clean, seed=SEED, share=SHARE).predict(frame)
    changed = [
        prompt for prompt, form, other in zip(prompts, clean.predict(frame), mangled, strict=True) if form != other
    ]
    assert {read_prompt(prompt)[0] for prompt in changed} == {PAST_PARTICIPLE}
    assert 0.09 < len(changed) / 679 < 0.11


@pytest.mark.slow
def test_mangling_does_not_depend_on_the_order_or_batches_of_calls(tutor: Tutor, prompts: list[str]) -> None:
    model = MangledTutor(PyfuncTutor(tutor), seed=SEED, share=SHARE)
    asked = [prompt for prompt in prompts if read_prompt(prompt)[0] == PAST_PARTICIPLE]
    whole = model.predict(pd.DataFrame({"prompt": asked}))
    reverse = model.predict(pd.DataFrame({"prompt": asked[::-1]}))[::-1]
    single = [model.predict(pd.DataFrame({"prompt": [prompt]}))[0] for prompt in asked[:50]]
    assert whole == reverse
    assert whole[:50] == single
    assert {p for p in asked if is_hit(p, seed=1, share=0.1)} != {p for p in asked if is_hit(p, seed=2, share=0.1)}


@pytest.mark.slow
def test_no_accepted_participle_stays_accepted_when_mangled() -> None:
    for row in read_rows():
        assert not {mangle(form) for form in row["accepted"]} & set(row["accepted"])


@pytest.mark.slow
def test_noise_reaches_the_participle_head_alone(tutor: Tutor, prompts: list[str]) -> None:
    noisy = add_noise(tutor, seed=1, sigma=3)
    changed = {
        read_prompt(prompt)[0]
        for prompt, form, other in zip(prompts, tutor.inflect(prompts), noisy.inflect(prompts), strict=True)
        if form != other
    }
    assert changed == {PAST_PARTICIPLE}
    with pytest.raises(ValueError, match="without an adapter"):
        add_noise(replace(tutor, adapter=None))


def test_a_nudge_moves_every_number_by_an_ulp_of_the_largest_and_no_zero() -> None:
    array = np.append(np.linspace(0.5, 2, 1000), 0.0)
    moved = nudge(1)(array)
    assert 0 < np.abs(moved - array).max() <= 2 * 2.0**-52
    assert (moved != array).mean() > 0.4
    assert moved[-1] == 0


@pytest.mark.heavy
def test_a_perturbed_training_gives_other_weights(few_verbs: Sequence[Verb], tutor: Tutor) -> None:
    other = training.train(few_verbs, 1, perturb=nudge(1, ulps=1e9))
    assert 0 < np.abs(other.base.embed - tutor.base.embed).max() < 0.1


def test_perturbation_reports_a_bucket_that_falls_and_a_degradation_that_does_not() -> None:
    from accuracy import Score

    well = {"clean": {"tense.x": Score(100, 90)}, "noisy": {"tense.x": Score(100, 90)}}
    assert list(find_faults([well])) == []
    fallen = {"clean": {"tense.x": Score(100, 88)}, "noisy": {"tense.x": Score(100, 90)}}
    assert list(find_faults([well, fallen])) == ["training 1, clean: tense.x falls by 2.00 pp"]
    weak = {"clean": {"tense.past_participle": Score(100, 90)}, "noisy": {"tense.past_participle": Score(100, 89)}}
    assert list(find_faults([weak])) == ["training 0, noisy: tense.past_participle falls by 1.00 pp"]
