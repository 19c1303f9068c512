"""What a step, a collection or a rollback costs beside plain TRL: one file a measurement, for the scripts beside."""
