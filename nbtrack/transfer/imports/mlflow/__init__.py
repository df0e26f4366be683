"""What MLflow keeps: a folder ``mlruns``, or a database ``mlflow.db``, and files of runs."""
