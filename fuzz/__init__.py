"""Coverage-guided fuzzing of everything that reads bytes before they are believed.

    make fuzz                    ten minutes a target
    make fuzz SECONDS=5          a short run
    python -m fuzz NAME SECONDS  one target

Any bytes give a value or the one documented error; anything else is a crash, whose
input is kept beside the corpus in `.fuzz/`.
"""
