"""The rules of Amazon SageMaker Debugger, which is closed to new customers: its names, its thresholds, our frames.

``GradWatch(profile="sagemaker")`` asks these in place of our own detectors.  They ring as the service's did, on the
first step that shows the symptom and each for itself; causes and remedies beside them are ours.  Where a frame does not
hold what a rule is defined by, the class says what stands in for it: always something that rings later, never earlier,
but for SaturatedActivation and WeightUpdateRatio, which say how they differ.

Sources: Amazon SageMaker developer guide, list of Debugger built-in rules; defaults of smdebug-rulesconfig 1.0.1.
"""
