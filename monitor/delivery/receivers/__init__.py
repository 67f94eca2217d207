"""One file for each kind of receiver: how an alert is written and sent there."""
