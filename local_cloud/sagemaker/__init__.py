"""SageMaker training jobs for the local cloud: the API, and real jobs as processes on emptied hosts."""
