"""The service: restoration over HTTP, with limits, a queue, metrics and a graceful end."""
