"""percepnet where sound flows: a microphone (`percepnet live`), and a virtual microphone (`percepnet mic`)."""
