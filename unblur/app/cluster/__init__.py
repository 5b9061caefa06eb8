"""Work on a Ray cluster, on files at addresses such as s3://bucket/scans."""
