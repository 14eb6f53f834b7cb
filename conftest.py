pytest_plugins = ["gradcheck.plugin.short"]  # --device beside --gradcheck-device, and so on
