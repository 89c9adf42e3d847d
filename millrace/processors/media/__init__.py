"""Media work, path in, path out: probing, cutting, encoding, packaging (TRN-1 to TRN-8).

The only package that imports PyAV. It must never read a clock, draw a random number or reach for
anything but the paths it is given. It imports nothing here, so that the pure modules
(`timeline`, `failures`) cost their readers no native library.
"""
