"""Models in memory for the API's tests: satisfies ``Models``, knows one prediction."""

from edge.inference.manifest import SERVICES, Service
from edge.inference.predict import SERVICES as AT_EDGE
from edge.inference.registry import Outcome
from edge.view_answers import Answer
from edge.view_models import Prediction, ServiceModels, ServiceRow


class MemoryModels:
    """No model is active: rules answer."""

    def entity(self, service: Service) -> str:
        return AT_EDGE[service].entity

    def predict(self, service: Service, key: str, store: str, explain: bool) -> Prediction | None:
        if key == "NONE":
            return None
        return Prediction(
            service=service,
            entity=self.entity(service),
            key=key,
            store=store,
            version="",
            kind="rule",
            canary=False,
            predicted_ms=1,
            stale=False,
            fallback="base_rate",
            rule="always one",
            confidence=None,
            answers=[Answer(name="units_1d", unit="units", horizon_days=1, value=1.0)],
            features={"age_days": None} if explain else None,
        )

    def models(self) -> list[ServiceRow]:
        return [self.row(service) for service in SERVICES]

    def row(self, service: Service) -> ServiceRow:
        return ServiceRow(
            service=service,
            entity=self.entity(service),
            answered_by="rule",
            reason="no_model",
            why="no model has come in for this service",
            trained_on="",
            active="",
            answering="",
            beside="",
            beside_state="",
            previous="",
            canary_share=0.0,
            waiting=0,
            stale=0,
            rule="always one",
            predictions=0,
        )

    def model(self, service: Service) -> ServiceModels:
        return ServiceModels(
            service=self.row(service), versions=[], history=[], latency=[], scores={}, drift=[]
        )

    def outcome(self, request: str) -> Outcome | None:
        return None
