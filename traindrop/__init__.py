"""Traindrop: drop a YOLO dataset into S3; get a trained model, its metrics and its bill in your inbox."""
