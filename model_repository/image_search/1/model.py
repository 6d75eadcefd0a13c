"""Triton's model `image_search`: pictures in, their nearest neighbours out.

One request names pictures and a search; the network (the model `hash_encoder` beside this one) is asked inside the
server, the index in Redis. Requests that Triton hands over together are encoded together, and each is answered for
itself: what is wrong with one is an error to its caller alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils

from hashgrain.codes import HashCodes
from hashgrain.codes.errors import HashgrainError, StoreUnavailable
from hashgrain.indexer.searching.warming import warm_up
from image_search.answer import answer_tensors, refuse, respond
from image_search.encoder import find_encoder
from image_search.given import Given, read_given
from image_search.indexes import OpenIndexes, Replaced
from image_search.kept_codes import KeptCodes
from image_search.question import Question, Questions
from image_search.settings import read_settings
from image_search.shadow import ShadowMetrics

ATTEMPTS = 3
"""How often pictures are encoded, where the index changes over to another model meanwhile."""


class TritonPythonModel:
    """One instance of the model; Triton calls `initialize` once, `execute` for every batch, `finalize` at the end."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the settings and the encoder's contract; Redis is not asked before the first request.

        Raises:
            TritonModelException: a setting is wrong, or there is no hash_encoder beside this model.
        """
        try:
            self._settings = read_settings(json.loads(args["model_config"]), os.environ)
            self._questions = Questions(self._settings)
            self._encoder = find_encoder(Path(args["model_repository"]).parent)
            self._indexes = OpenIndexes(self._settings, self._encoder.contracts)
            self._kept = KeptCodes(self._settings.kept_pictures)
            self._shadow = ShadowMetrics(args["model_instance_name"]) if self._settings.shadow else None
            warm_up(self._encoder.contract.layout, collapse=True)  # now, so that no request waits for the compiler
        except HashgrainError as error:
            raise pb_utils.TritonModelException(str(error)) from error

    def is_ready(self) -> bool:
        """Whether Redis answers; Triton asks for /v2/models/image_search/ready (its releases of 2026, not before)."""
        return self._indexes.ready()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer every request, in order."""
        refused: dict[int, Any] = {}
        asked = _each(self._read, dict(enumerate(requests)), refused)
        by_codes = {place: given for place, given in asked.items() if given.codes is not None}
        answers = _each(self._answer_codes, by_codes, refused)
        if len(by_codes) < len(asked):
            by_pictures = {place: given for place, given in asked.items() if given.pictures is not None}
            answers |= self._answer_pictures(by_pictures, refused)
        if self._shadow is not None:
            self._shadow.report(self._indexes.samples())
        return [answers[place] if place in answers else refused[place] for place in range(len(requests))]

    def finalize(self) -> None:
        """Close the connections to Redis."""
        self._indexes.close()

    def _read(self, request: Any) -> Given:
        question = self._questions.read(request.parameters(), request.requested_output_names())
        tensors = {tensor.name(): tensor for tensor in request.inputs()}
        return read_given(question, tensors, self._encoder.contract.input_size)

    def _answer_codes(self, given: Given) -> Any:
        assert given.codes is not None
        version = self._encoder.version_of(given.question.fingerprint)
        self._indexes.require_version(given.question, version)
        answer = self._answer_unless_replaced(given.question, given.codes, version)
        if not isinstance(answer, Replaced):
            return answer
        self._indexes.require_version(given.question, version)  # by the index as it is now
        return self._answer(given.question, given.codes, version)

    def _answer_pictures(self, asked: dict[int, Given], refused: dict[int, Any]) -> dict[int, Any]:
        """Encode together what requests ask, and answer each."""
        answers: dict[int, Any] = {}
        found: dict[int, Any] = {}
        for _ in range(ATTEMPTS):
            waiting = {place: query for place, query in asked.items() if place not in answers | refused}
            if not waiting:
                break
            versions = _each(lambda given: self._indexes.version_for(given.question), waiting, refused)
            encoded = self._encode({place: asked[place] for place in versions}, versions, refused)
            queries = {place: (asked[place].question, codes, versions[place]) for place, codes in encoded.items()}
            found = _each(lambda query: self._answer_unless_replaced(*query), queries, refused)
            answers |= {place: answer for place, answer in found.items() if not isinstance(answer, Replaced)}
        refused |= {place: refuse(found[place]) for place in found if place not in answers}
        return answers

    def _encode(
        self, asked: dict[int, Given], versions: dict[int, int], refused: dict[int, Any]
    ) -> dict[int, HashCodes]:
        """The codes of each request's pictures: kept ones, and the others encoded together by version."""
        pictures = {place: given.pictures for place, given in asked.items() if given.pictures is not None}
        logits = {place: asked[place].question.search.refine is not None for place in asked}
        kept = {place: self._kept.find(found.key, versions[place], logits[place]) for place, found in pictures.items()}
        codes = {place: found for place, found in kept.items() if found is not None}
        left = {place: found for place, found in pictures.items() if place not in codes}
        decoded = _each(lambda found: found.decoded(), left, refused)
        for version in {versions[place] for place in decoded}:
            places = [place for place in decoded if versions[place] == version]
            try:
                encoded = self._encoder.encode(
                    [left[place] for place in places], version, logits=any(logits[place] for place in places)
                )
            except Exception as error:
                refused |= {place: refuse(error) for place in places}
                continue
            for place, made in zip(places, encoded, strict=True):
                self._kept.keep(left[place].key, version, made)
                codes[place] = made
        return codes

    def _answer_unless_replaced(self, question: Question, codes: HashCodes, version: int) -> Any:
        """The answer, or the error of an index that changed over to another model meanwhile."""
        try:
            return self._answer(question, codes, version)
        except Replaced as error:
            return error

    def _answer(self, question: Question, codes: HashCodes, version: int) -> Any:
        hits = self._indexes.search(question, codes, version)
        return respond(answer_tensors(hits, question.search.k, question.outputs))


def _each(step: Callable[[Any], Any], items: dict[int, Any], refused: dict[int, Any]) -> dict[int, Any]:
    """Take a step for every request; one that fails is put among the refused."""
    done = {}
    away: StoreUnavailable | None = None
    for place, item in items.items():
        try:
            if away:
                raise away  # the rest would wait as long for the same Redis, one after the other
            done[place] = step(item)
        except StoreUnavailable as error:
            refused[place], away = refuse(error), error
        except Exception as error:  # whatever it is, it is this request's answer and not the others'
            refused[place] = refuse(error)
    return done
