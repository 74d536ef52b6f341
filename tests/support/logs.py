"""A logger that keeps what it is told."""

import dovetail as trt


class Log(trt.ILogger):
    def __init__(self):
        super().__init__()
        self.lines = []

    def log(self, severity, msg):
        self.lines.append((severity, msg))

    def warnings(self):
        return [text for severity, text in self.lines if severity == trt.Logger.WARNING]
