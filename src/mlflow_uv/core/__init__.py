"""Values in, values out: no clock, disk, network or process."""
