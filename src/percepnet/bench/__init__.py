"""What the enhancement costs on this machine: time for a frame, memory, start-up, beside other systems."""
