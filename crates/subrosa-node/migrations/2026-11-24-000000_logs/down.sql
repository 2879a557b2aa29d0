DROP TABLE commit_log;
DROP TABLE addresses;
DROP TABLE inbox_log;
DROP TABLE key_packages;
DROP TABLE welcomes;
DROP TABLE group_messages;
