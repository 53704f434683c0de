"""Train a tiny model and save it with an eval set and its task: ``train.py torch|transformers FOLDER``.

Run by the Python of `just torch`. The labels of the eval set are what the trained model answers without MLflow, but
for the first, which is wrong; ``answers.json`` has the right ones.
Nothing is downloaded: the data is scikit-learn's or is written here, and the transformer is made from a configuration.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch

WORDS = ["good", "bad", "film", "plot", "a", "the", "very", "not", "actor", "end"]


def train_torch(folder: Path) -> None:
    """Save a network on the iris data; its answer is a score for each of three classes."""
    from mlflow.models import infer_signature
    from sklearn.datasets import load_iris

    rows, labels = load_iris(return_X_y=True)
    rows = rows.astype("float32")
    model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(torch.tensor(rows)), torch.tensor(labels)).backward()
        optimizer.step()
    model.eval()
    scores = model(torch.tensor(rows)).detach().numpy()
    mlflow.pytorch.save_model(
        model,
        folder / "saved",
        signature=infer_signature(rows, scores),
        pip_requirements=[],
        serialization_format="pickle",
    )
    labels = _write_answers(folder, scores.argmax(axis=1).tolist()[::5])
    names = ["a", "b", "c", "d"]
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "part", "expected"])
        writer.writerows([*row.tolist(), i % 2, labels[i]] for i, row in enumerate(rows[::5]))
    types = ", ".join(f'{name} = "number"' for name in names)
    _write_task(
        folder, f'features = {json.dumps(names)}\ntypes = {{ {types}, expected = "integer" }}', 'reduce = "argmax"'
    )


def train_transformers(folder: Path) -> None:
    """Save a pipeline that classifies texts of ten words by the words `good` and `bad`."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast, pipeline

    words = Tokenizer(WordLevel({word: i for i, word in enumerate(["[PAD]", "[UNK]", *WORDS])}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
    names = {0: "down", 1: "up"}
    config = BertConfig(
        vocab_size=len(WORDS) + 2,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
        id2label=names,
        label2id={name: number for number, name in names.items()},
    )
    model = BertForSequenceClassification(config)
    chance = np.random.default_rng(0)
    fillers = [word for word in WORDS if word not in ("good", "bad")]
    texts = [
        " ".join([*chance.choice(fillers, 3), "good" if i % 2 else "bad", chance.choice(fillers)]) for i in range(60)
    ]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    given = tokenizer(texts, return_tensors="pt", padding=True)
    for _ in range(40):
        optimizer.zero_grad()
        model(**given, labels=torch.tensor([i % 2 for i in range(60)])).loss.backward()
        optimizer.step()
    model.eval()
    found = pipeline("text-classification", model=model, tokenizer=tokenizer)
    labels = _write_answers(folder, [answer["label"] for answer in found(texts[:30])])
    mlflow.transformers.save_model(found, folder / "saved", pip_requirements=[])
    rows = ({"text": text, "part": i % 2, "expected": labels[i]} for i, text in enumerate(texts[:30]))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _write_task(folder, 'features = ["text"]', 'column = "label"')


def _write_answers(folder: Path, answers: list[Any]) -> list[Any]:
    """Write the answers, and return them as labels of which the first is wrong."""
    (folder / "answers.json").write_text(json.dumps(answers))
    return [next(each for each in answers if each != answers[0]), *answers[1:]]


def _write_task(folder: Path, columns: str, prediction: str) -> None:
    lines = ['schema = "minieval.task/1"', columns, "[buckets]", 'columns = ["part"]', "[prediction]", prediction, ""]
    (folder / "rows.toml").write_text("\n".join(lines))


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    {"torch": train_torch, "transformers": train_transformers}[sys.argv[1]](Path(sys.argv[2]))
