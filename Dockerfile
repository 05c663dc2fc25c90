# docker build -t gb28181-gateway . && docker run --network host -v gb28181:/var/lib/gb28181 gb28181-gateway
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md ./
COPY gb28181 gb28181
COPY gateway gateway
RUN python -m venv /opt/gateway && /opt/gateway/bin/pip install --no-cache-dir .

FROM python:3.11-slim-bookworm
COPY --from=build /opt/gateway /opt/gateway
COPY conf/gateway.toml /etc/gb28181/gateway.toml
# ffmpeg sends to SRT targets; nothing else needs it.
RUN apt-get update && apt-get install -y --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/*
RUN useradd --system --home-dir /var/lib/gb28181 --create-home gateway
USER gateway
ENV PATH=/opt/gateway/bin:$PATH GATEWAY__DATA_DIR=/var/lib/gb28181
VOLUME /var/lib/gb28181
# SIP, HTTP, RTSP, RTMP, RTP, WebRTC, RTSP over UDP. Host networking is the simple way: SDP carries addresses that a bridge would hide.
EXPOSE 5060/udp 5060/tcp 8080/tcp 8554/tcp 1935/tcp 30000-30999/udp 30000-30999/tcp 31000-31999/udp
HEALTHCHECK --interval=15s --timeout=3s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["gateway"]
CMD ["serve", "--config", "/etc/gb28181/gateway.toml"]
