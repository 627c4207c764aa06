CREATE TABLE tasks (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project    text        NOT NULL CHECK (project <> ''),
    title      text        NOT NULL CHECK (title <> ''),
    priority   text        NOT NULL DEFAULT 'normal' CHECK (priority IN ('low', 'normal', 'high')),
    status     text        NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'doing', 'done')),
    created_at timestamptz NOT NULL DEFAULT now(),
    done_at    timestamptz,
    -- A task has a time of completion exactly when it is complete.
    CONSTRAINT done_has_a_time CHECK ((status = 'done') = (done_at IS NOT NULL)),
    UNIQUE (project, title)
);
