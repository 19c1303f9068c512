"""A study: several methods, several training seeds each, one grid of runs and one comparison.

    study_config    the YAML file           grid        cells, subprocesses, what goes wrong
    test_split      the final evaluation    results     what a folder holds, read back without torch

Not here: a single run (`nearfuture.run`), the page about a study (`nearfuture.lab.report`).
"""
