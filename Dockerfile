# The command kombo alone: a static binary without a shell, run by a user without rights.
#
#	docker build -t kombo .
#	docker run --rm -e KOMBO_API_KEY kombo check
FROM docker.io/library/golang:1.26 AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOWORK=off
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go build -trimpath -ldflags='-s -w' -o /image/kombo ./cmd/kombo && mkdir /image/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /image/kombo /kombo
# For the files of "listen" and "sandbox -state": a volume that is mounted here belongs to the user below.
COPY --from=build --chown=65534:65534 /image/data /data
WORKDIR /data
USER 65534:65534
ENTRYPOINT ["/kombo"]
CMD ["help"]
