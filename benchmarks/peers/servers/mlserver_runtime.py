"""MLServer's custom runtime: V2 JSON, the tensor as numbers or as base64."""

import base64

from engine import Model
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    """One ONNX model."""

    async def load(self) -> bool:
        """Load what the model's settings name."""
        parameters = self.settings.parameters
        self._model = Model(parameters.uri, parameters.extra["threads"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run the model on the one input."""
        given = payload.inputs[0]
        if given.datatype == "BYTES":
            x = self._model.read(base64.b64decode(given.data.root[0]))
        else:
            x = NumpyCodec.decode_input(given)
        outputs = [NumpyCodec.encode_output("y", self._model.run(x))]
        return InferenceResponse(model_name=self.name, outputs=outputs)
