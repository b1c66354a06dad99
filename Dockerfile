# The image for those who have Docker: docker build -t registry.example.com/tokenkeeper .
# "make image" needs no Docker, and puts the same binary into its image.
ARG GO_VERSION=1.26.8
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-trixie AS build
ARG TARGETOS TARGETARCH
# What --version prints: docker build --build-arg VERSION=… --build-arg COMMIT=… --build-arg DATE=…
ARG VERSION COMMIT DATE
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH make build BIN=/out \
    ${VERSION:+VERSION=$VERSION} ${COMMIT:+COMMIT=$COMMIT} ${DATE:+DATE=$DATE}
RUN printf 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >/out/passwd

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=build /out/passwd /etc/passwd
COPY --from=build /out/tokenkeeper /ko-app/tokenkeeper
USER 65532:65532
ENTRYPOINT ["/ko-app/tokenkeeper"]
