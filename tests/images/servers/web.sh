#!/bin/sh
# The certificate is for the name that the service has in the tests. A mounted one is used instead.
set -eu
if [ -e /certificate/server.pem ]; then
  cp /certificate/server.pem /certificate/server.key /etc/nginx/
else
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=web \
    -addext subjectAltName=DNS:web -keyout /etc/nginx/server.key -out /etc/nginx/server.pem 2>/dev/null
fi
exec nginx
