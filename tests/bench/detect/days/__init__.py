"""The yardstick of recorded days: the whole product, from raw input to alerts, on its defaults.

    python -m tests.bench.detect.days DAY... [--places N] [--seed N] [--list]

DAY is a recorded day that `brinkwatch import` or `record` made, of any venue, with books; `--list`
also prints each alert with its verdict and each moment with whether it was found. `make
bench-detect` runs the same on the recordings that are beside the project, and adds what needs a
simulated venue (`--only days.natural,days.planted,days.first_hour,days.quiet_days`).

Each module's docstring has its protocol:

natural      moments that a desk would want to hear of, alerts judged by a rule, severities
planted      changes planted in recorded books, beside plain rules at the same rate of alarms
first_hour   what is found an hour after the start, against after a day
quiet_days   false alarms of simulated days without incidents, by stream

`series` has what everything is judged by: plain arithmetic on the recorded rows, and nothing that
the engine computes.
"""
