"""``make backtest DATA=…``: forecasts against public tables, beside naive answers and peers."""
