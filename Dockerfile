# The command line of unblur, for photographs in a folder that is mounted at /photos:
#
#     docker build -t unblur .
#     docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/photos" unblur photo.jpg
#
# With an NVIDIA GPU and its container toolkit, add --gpus all behind --rm.
FROM python:3.12-slim
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY unblur unblur
RUN pip install --no-cache-dir --constraint constraints.txt .
# Any user can run it, and what is cached stays in the container.
ENV HOME=/tmp
WORKDIR /photos
ENTRYPOINT ["unblur"]
CMD ["--help"]
