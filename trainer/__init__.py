"""The trainer of rfid3: reads history, fits models, exports ONNX. The daemon never imports it."""
