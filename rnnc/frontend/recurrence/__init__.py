"""What repeats: loops and unrolled loops as Scans, cells as LSTM, GRU and RNN nodes."""
