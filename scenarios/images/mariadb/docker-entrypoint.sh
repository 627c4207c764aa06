#!/usr/bin/env bash
# Prepares the data directory the first time and then becomes the server.
#
# The variables, the init directory and the two-phase start are those of the official images: while the init scripts
# run, a temporary server answers on the unix socket only, so a probe over TCP succeeds only for the real server. A
# variable may be called MARIADB_… or MYSQL_…, and each may be read from the file that …_FILE names.
set -euo pipefail

# The first process of a container ignores a signal that it has no handler for, so a stop during the preparation would
# take its full grace. The server that this script becomes has handlers of its own.
trap 'exit 130' INT
trap 'exit 143' TERM

note() {
  printf '%s [Note] [Entrypoint]: %s\n' "$(date --rfc-3339=seconds)" "$1"
}

fail() {
  printf '%s [ERROR] [Entrypoint]: %s\n' "$(date --rfc-3339=seconds)" "$1" >&2
  shift
  (($# == 0)) || printf '\t%s\n' "$@" >&2
  exit 1
}

# Takes MARIADB_NAME from itself, from MYSQL_NAME, or from the file that either of them with _FILE names.
settle() {
  local wanted="MARIADB_$1" value='' from='' name
  for name in "MARIADB_$1" "MYSQL_$1"; do
    local file_name="${name}_FILE"
    if [[ -n ${!name-} && -n ${!file_name-} ]]; then
      fail "both $name and $file_name are set, but only one of them may be"
    fi
    if [[ -z $from && -n ${!name-} ]]; then
      value=${!name}
      from=$name
    elif [[ -z $from && -n ${!file_name-} ]]; then
      [[ -r ${!file_name} ]] || fail "the file that $file_name names cannot be read: ${!file_name}"
      value=$(<"${!file_name}")
      from=$file_name
    fi
    unset "$file_name"
  done
  export "$wanted=$value"
}

# These requests print something and exit, so they must not create a database first.
only_asks_for_information() {
  local argument
  for argument in "$@"; do
    case $argument in
      '-?' | --help | --print-defaults | -V | --version) return 0 ;;
    esac
  done
  return 1
}

# What the server itself makes of a setting, from its files and its arguments.
setting() {
  local name=$1
  shift
  "$@" --verbose --help 2>/dev/null | awk -v name="$name" '$1 == name && /^[^ \t]/ { sub(/^[^ \t]+[ \t]+/, ""); print; exit }'
}

# A text within single quotes of SQL, where the mode lets a backslash escape.
quoted() {
  local text=${1//\\/\\\\}
  printf "'%s'" "${text//\'/\\\'}"
}

check_password() {
  if [[ -z $MARIADB_ROOT_PASSWORD && -z $MARIADB_ALLOW_EMPTY_ROOT_PASSWORD && -z $MARIADB_RANDOM_ROOT_PASSWORD ]]; then
    fail "Database is uninitialized and password option is not specified" \
      "You need to specify one of MARIADB_ROOT_PASSWORD, MARIADB_ALLOW_EMPTY_ROOT_PASSWORD and MARIADB_RANDOM_ROOT_PASSWORD"
  fi
  if [[ -n $MARIADB_USER && -z $MARIADB_PASSWORD ]]; then
    fail "MARIADB_USER is set without MARIADB_PASSWORD" "the user would have no password"
  fi
  if [[ $MARIADB_USER == root ]]; then
    fail "MARIADB_USER is root, which exists already" "leave it out, and set MARIADB_ROOT_PASSWORD"
  fi
}

create_system_tables() {
  note 'Initializing database files'
  mariadb-install-db --datadir="$data" --auth-root-authentication-method=normal --skip-test-db \
    --loose-innodb_buffer_pool_load_at_startup=0 >/dev/null
  note 'Database files initialized'
}

start_temporary_server() {
  note 'Starting temporary server'
  "$@" --skip-networking --socket="$socket" --wsrep-on=OFF --expire-logs-days=0 &
  temporary_server=$!
  until mariadb-admin --no-defaults --user=root --socket="$socket" --connect-timeout=2 --silent ping >/dev/null 2>&1; do
    kill -0 "$temporary_server" 2>/dev/null || fail 'Unable to start server.' 'see its log above'
    sleep 0.05
  done
  note 'Temporary server started.'
}

stop_temporary_server() {
  note 'Stopping temporary server'
  kill -TERM "$temporary_server"
  wait "$temporary_server" || fail 'the temporary server did not stop cleanly'
  note 'Temporary server stopped'
}

# The client as root, on the database of the user where there is one, ending at the first error. It has the name that
# sourced init scripts know it by from the official images.
docker_process_sql() {
  local -a arguments=(--protocol=socket --user=root "--socket=$socket" --comments)
  [[ -z $MARIADB_DATABASE ]] || arguments+=("--database=$MARIADB_DATABASE")
  MYSQL_PWD=$MARIADB_ROOT_PASSWORD mariadb --no-defaults "${arguments[@]}" "$@"
}

create_accounts() {
  local root database user host=${MARIADB_ROOT_HOST:-%}
  if [[ -n $MARIADB_RANDOM_ROOT_PASSWORD && -z $MARIADB_ROOT_PASSWORD ]]; then
    MARIADB_ROOT_PASSWORD=$(head -c 24 /dev/urandom | base64)
    note "GENERATED ROOT PASSWORD: $MARIADB_ROOT_PASSWORD"
  fi
  root=$(quoted "$MARIADB_ROOT_PASSWORD")
  {
    # A backslash escapes only without that mode, and nothing of this belongs into a log for replicas.
    printf '%s\n' 'SET @@SESSION.SQL_LOG_BIN = 0;' \
      "SET @@SESSION.SQL_MODE = REPLACE(@@SESSION.SQL_MODE, 'NO_BACKSLASH_ESCAPES', '');" \
      "DROP USER IF EXISTS root@'127.0.0.1', root@'::1', ''@'localhost';" \
      "EXECUTE IMMEDIATE CONCAT('DROP USER IF EXISTS root@''', @@hostname, ''', ''''@''', @@hostname, '''');"
    if [[ $host != localhost ]]; then
      printf '%s\n' "CREATE USER root@$(quoted "$host") IDENTIFIED BY $root;" \
        "GRANT ALL ON *.* TO root@$(quoted "$host") WITH GRANT OPTION;"
    fi
    if [[ -n $MARIADB_DATABASE ]]; then
      database="\`${MARIADB_DATABASE//\`/\`\`}\`"
      printf '%s\n' "CREATE DATABASE IF NOT EXISTS $database;"
    fi
    if [[ -n $MARIADB_USER ]]; then
      user=$(quoted "$MARIADB_USER")
      printf '%s\n' "CREATE USER $user@'%' IDENTIFIED BY $(quoted "$MARIADB_PASSWORD");"
      # An underscore in the name of a database is a wildcard in a grant.
      [[ -z $MARIADB_DATABASE ]] || printf '%s\n' "GRANT ALL ON ${database//_/\\_}.* TO $user@'%';"
    fi
    # The password of root comes last: this very connection has none yet.
    printf '%s\n' "SET PASSWORD FOR root@'localhost' = PASSWORD($root);"
  } | mariadb --no-defaults --protocol=socket --user=root --socket="$socket"
}

run_init_files() {
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh)
        if [[ -x $file ]]; then
          note "${0##*/}: running $file"
          "$file"
        else
          note "${0##*/}: sourcing $file"
          # The file's name is known only when the container runs.
          # shellcheck source=/dev/null
          . "$file"
        fi
        ;;
      *.sql)
        note "${0##*/}: running $file"
        docker_process_sql <"$file"
        ;;
      *.sql.gz)
        note "${0##*/}: running $file"
        gunzip -c "$file" | docker_process_sql
        ;;
      '/docker-entrypoint-initdb.d/*') ;;
      *) note "${0##*/}: ignoring $file" ;;
    esac
  done
}

initialise() {
  check_password
  # Looked at before the work is done, so that a directory that cannot be read fails early.
  ls /docker-entrypoint-initdb.d/ >/dev/null
  create_system_tables
  start_temporary_server "$@"
  create_accounts
  run_init_files
  stop_temporary_server
  note 'MariaDB init process done. Ready for start up.'
}

main() {
  if [[ ${1-} == -* ]]; then
    set -- mariadbd "$@"
  fi
  # The other name of the server, which files written for the official image of MySQL use.
  if [[ ${1-} == mysqld ]]; then
    shift
    set -- mariadbd "$@"
  fi
  if [[ ${1-} == mariadbd ]] && ! only_asks_for_information "$@"; then
    data=$(setting datadir "$@")
    data=${data:-/var/lib/mysql}
    socket=$(setting socket "$@")
    socket=${socket:-/run/mysqld/mysqld.sock}
    if ((EUID == 0)); then
      mkdir -p "$data" "${socket%/*}"
      # Only what is not yet the server's is changed: a mounted directory may hold millions of files.
      find "$data" "${socket%/*}" \! -user mysql -exec chown mysql: '{}' +
      # The server refuses to run as root. Replacing this process keeps signals going straight to the server.
      export HOME=/var/lib/mysql
      exec setpriv --reuid=mysql --regid=mysql --init-groups -- "${BASH_SOURCE[0]}" "$@"
    fi
    local name
    for name in ROOT_PASSWORD ROOT_HOST ALLOW_EMPTY_ROOT_PASSWORD RANDOM_ROOT_PASSWORD DATABASE USER PASSWORD; do
      settle "$name"
    done
    # The names of the official image of MySQL differ here.
    MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD:-${MYSQL_ALLOW_EMPTY_PASSWORD-}}
    if [[ -d $data/mysql ]]; then
      note 'the data directory holds a database already, so nothing is initialised'
    else
      initialise "$@"
    fi
  fi
  exec "$@"
}

main "$@"
