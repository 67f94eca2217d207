"""Online detectors: numbers in, scores out; each a river estimator, one file each."""
