INSERT INTO tasks (project, title, priority, status, done_at) VALUES
    ('welcome', 'Write the Compose file', 'high', 'done', now()),
    ('welcome', 'Run the suites', 'normal', 'doing', NULL),
    ('welcome', 'Look at the report', 'low', 'open', NULL);
