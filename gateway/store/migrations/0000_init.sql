CREATE TABLE "analyses" (
	"function_id" uuid NOT NULL,
	"version" integer NOT NULL,
	"findings" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "analyses_function_id_version_pk" PRIMARY KEY("function_id","version")
);
--> statement-breakpoint
CREATE TABLE "deployments" (
	"id" uuid PRIMARY KEY NOT NULL,
	"function_id" uuid NOT NULL,
	"function_name" text NOT NULL,
	"action" text NOT NULL,
	"version" integer,
	"actor" text NOT NULL,
	"request_id" text NOT NULL,
	"timestamp" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "function_invocations" (
	"id" uuid PRIMARY KEY NOT NULL,
	"function_id" uuid NOT NULL,
	"function_name" text NOT NULL,
	"version" integer NOT NULL,
	"request_id" text NOT NULL,
	"status" text NOT NULL,
	"duration_ms" double precision,
	"error" text,
	"error_code" text,
	"timestamp" timestamp with time zone NOT NULL,
	"cpu_ms" double precision,
	"fuel" bigint,
	"memory_bytes" bigint
);
--> statement-breakpoint
CREATE TABLE "functions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"live_version" integer NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "functions_name_unique" UNIQUE("name")
);
--> statement-breakpoint
CREATE TABLE "versions" (
	"function_id" uuid NOT NULL,
	"version" integer NOT NULL,
	"artifact_hash" text NOT NULL,
	"artifact" "bytea" NOT NULL,
	"artifact_bytes" integer NOT NULL,
	"config" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "versions_function_id_version_pk" PRIMARY KEY("function_id","version")
);
--> statement-breakpoint
ALTER TABLE "analyses" ADD CONSTRAINT "analyses_function_id_functions_id_fk" FOREIGN KEY ("function_id") REFERENCES "public"."functions"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "versions" ADD CONSTRAINT "versions_function_id_functions_id_fk" FOREIGN KEY ("function_id") REFERENCES "public"."functions"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "deployments_name_timestamp" ON "deployments" USING btree ("function_name","timestamp");--> statement-breakpoint
CREATE INDEX "function_invocations_function_timestamp" ON "function_invocations" USING btree ("function_id","timestamp");--> statement-breakpoint
CREATE INDEX "function_invocations_timestamp" ON "function_invocations" USING btree ("timestamp");--> statement-breakpoint
CREATE INDEX "function_invocations_running" ON "function_invocations" USING btree ("function_id") WHERE status = 'running';