-- Stands for an import that takes its time. Whoever takes the database for ready before it is over finds no table of terms.
DO SLEEP(3);
CREATE TABLE terms (word VARCHAR(40) NOT NULL PRIMARY KEY) CHARACTER SET utf8mb4;
INSERT INTO terms VALUES ('bread'), ('café'), ('milk');
