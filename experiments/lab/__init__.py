"""What all experiments share: results, the runner, pages, style, interactive figures."""
