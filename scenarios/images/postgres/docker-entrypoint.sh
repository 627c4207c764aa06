#!/usr/bin/env bash
# Prepares PGDATA the first time and then becomes the server.
#
# The variables, the init directory and the two-phase start are those of the official image: while the init scripts
# run, a temporary server answers on the unix socket only, so a probe over TCP succeeds only for the real server.
set -euo pipefail

# The first process of a container ignores a signal that it has no handler for, so a stop during the preparation would
# take its full grace. The server that this script becomes has handlers of its own.
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf '       %s\n' "$@" >&2
  exit 1
}

# Takes VARIABLE from the file that VARIABLE_FILE names, or from a default.
from_file_or_default() {
  local name=$1 default=${2-} file_name="${1}_FILE"
  if [[ -n ${!name-} && -n ${!file_name-} ]]; then
    fail "both $name and $file_name are set, but only one of them may be"
  fi
  local value=${!name:-$default}
  if [[ -n ${!file_name-} ]]; then
    [[ -r ${!file_name} ]] || fail "the file that $file_name names cannot be read: ${!file_name}"
    value=$(<"${!file_name}")
  fi
  export "$name=$value"
  unset "$file_name"
}

# These requests print something and exit, so they must not create a cluster first.
only_asks_for_information() {
  local argument
  for argument in "$@"; do
    case $argument in
      '-?' | --help | --describe-config | -V | --version) return 0 ;;
    esac
  done
  return 1
}

create_directories() {
  mkdir -p "$PGDATA"
  chmod 0700 "$PGDATA" || true
  if ((EUID == 0)); then
    # Only what is not yet ours is changed: a mounted directory may hold millions of files.
    find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
    find /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
  fi
}

check_password() {
  if [[ $POSTGRES_HOST_AUTH_METHOD == trust ]]; then
    cat >&2 <<'WARNING'
warning: POSTGRES_HOST_AUTH_METHOD is "trust", so anybody who reaches this port can connect as any user without a
         password. Set POSTGRES_PASSWORD instead, unless this database is used for tests only.
WARNING
  elif [[ -z $POSTGRES_PASSWORD ]]; then
    fail "Database is uninitialized and superuser password is not specified." \
      "Set POSTGRES_PASSWORD (or POSTGRES_PASSWORD_FILE) to a non-empty value for the superuser," \
      "for example: docker run -e POSTGRES_PASSWORD=password ..." \
      "POSTGRES_HOST_AUTH_METHOD=trust allows all connections without a password, which is not recommended."
  fi
}

create_cluster() {
  local -a arguments=()
  # The value is a line of shell words, as it is in the official image, so quoted words stay together.
  eval "arguments=(${POSTGRES_INITDB_ARGS-})"
  # The password goes through a pipe, so that it appears neither in a list of processes nor on a disk.
  initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") \
    "${arguments[@]}"
  # Connections from this container itself are trusted by initdb's default; those of others need the password.
  printf '\nhost all all all %s\n' "$POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"
}

# The server writes its state into the eighth line of its pid file, which is also where pg_ctl looks. Reading it here
# is quicker than pg_ctl, which looks ten times a second.
temporary_server_state() {
  local -a lines=()
  [[ ! -r $PGDATA/postmaster.pid ]] || mapfile -t lines <"$PGDATA/postmaster.pid"
  printf '%s' "${lines[7]-}"
}

start_temporary_server() {
  "$@" -c listen_addresses='' -p "${PGPORT:-5432}" &
  temporary_server=$!
  until [[ $(temporary_server_state) == ready* ]]; do
    kill -0 "$temporary_server" 2>/dev/null || fail "the temporary server stopped before it was ready; see its log above"
    sleep 0.01
  done
}

stop_temporary_server() {
  kill -INT "$temporary_server"
  wait "$temporary_server" || fail "the temporary server did not stop cleanly"
}

# Like psql, but connected to the database of the user and ending at the first error. It has the name that sourced
# init scripts know it by from the official image.
docker_process_sql() {
  PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" "$@"
}

create_database() {
  # The three databases that initdb makes exist already.
  [[ $POSTGRES_DB != postgres ]] || return 0
  docker_process_sql --dbname postgres --quiet --set name="$POSTGRES_DB" <<'SQL'
SELECT format('CREATE DATABASE %I', :'name') WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
SQL
}

run_init_files() {
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh)
        if [[ -x $file ]]; then
          printf '%s: running %s\n' "${0##*/}" "$file"
          "$file"
        else
          printf '%s: sourcing %s\n' "${0##*/}" "$file"
          # The file's name is known only when the container runs.
          # shellcheck source=/dev/null
          . "$file"
        fi
        ;;
      *.sql)
        printf '%s: running %s\n' "${0##*/}" "$file"
        docker_process_sql -f "$file"
        ;;
      *.sql.gz)
        printf '%s: running %s\n' "${0##*/}" "$file"
        gunzip -c "$file" | docker_process_sql
        ;;
      '/docker-entrypoint-initdb.d/*') ;;
      *) printf '%s: ignoring %s\n' "${0##*/}" "$file" ;;
    esac
  done
}

initialise() {
  check_password
  # Looked at before the work is done, so that a directory that cannot be read fails early.
  ls /docker-entrypoint-initdb.d/ >/dev/null
  create_cluster
  # Init scripts call psql themselves and expect not to be asked for anything.
  export PGPASSWORD="${PGPASSWORD-$POSTGRES_PASSWORD}"
  start_temporary_server "$@"
  create_database
  run_init_files
  stop_temporary_server
  unset PGPASSWORD
  printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

main() {
  if [[ ${1-} == -* ]]; then
    set -- postgres "$@"
  fi
  if [[ ${1-} == postgres ]] && ! only_asks_for_information "$@"; then
    create_directories
    if ((EUID == 0)); then
      # The server refuses to run as root. Replacing this process keeps signals going straight to the server.
      export HOME=/var/lib/postgresql
      exec setpriv --reuid=postgres --regid=postgres --init-groups -- "${BASH_SOURCE[0]}" "$@"
    fi
    if [[ -s $PGDATA/PG_VERSION ]]; then
      printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
    else
      from_file_or_default POSTGRES_PASSWORD
      from_file_or_default POSTGRES_USER postgres
      from_file_or_default POSTGRES_DB "$POSTGRES_USER"
      from_file_or_default POSTGRES_INITDB_ARGS
      from_file_or_default POSTGRES_HOST_AUTH_METHOD scram-sha-256
      initialise "$@"
    fi
  fi
  exec "$@"
}

main "$@"
