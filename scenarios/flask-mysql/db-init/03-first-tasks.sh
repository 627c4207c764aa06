# Scripts run after the files before them, within the same temporary server.
docker_process_sql -e "INSERT INTO todos (task) SELECT CONCAT('Buy ', word) FROM terms ORDER BY word"
